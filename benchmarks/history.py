"""Fill a database with the history of a busy month."""

import os
from collections.abc import Sequence

from sqlalchemy import Connection, text

from hudhud.core.sentences import say
from hudhud.core.stored_sentences import columns
from hudhud.db import phone_index
from hudhud.db.engine import Database
from hudhud.messages import counters, text_store
from hudhud.messages.templates.shipped import shipped

JOBS = int(os.environ.get("HUDHUD_BENCH_JOBS", "1000000"))
MONTH_MS = 30 * 86_400_000
VALIDITY_MS = 300_000
ROWS_AT_ONCE = 50_000
ERRORS = (
    say("job.no_account"),
    say("job.no_number_check"),
    say("job.stranger"),
    say("job.offline"),
    say("job.expired"),
)

# Of each hundred: 60 read, 30 delivered, 5 sent, 3 failed, 1 expired, 1 canceled.
STATUS = """CASE WHEN i % 100 < 60 THEN 'read' WHEN i % 100 < 90 THEN 'delivered'
    WHEN i % 100 < 95 THEN 'sent' WHEN i % 100 < 98 THEN 'failed'
    WHEN i % 100 < 99 THEN 'expired' ELSE 'canceled' END"""
PHONE = """CASE WHEN i % 10 < 7 THEN '+2010' || (10000000 + (i * 7919) % 90000000)
    ELSE '+9665' || (10000000 + (i * 104729) % 90000000) END"""
ARRIVED = "i % 100 < 90"
CREATED = "CAST(:begin AS BIGINT) + i * CAST(:step AS BIGINT)"
# Most within seconds, one in twenty within a minute.
DELIVERY_MS = "800 + (i * 31) % 4000 + CASE WHEN i % 20 = 0 THEN (i * 37) % 60000 ELSE 0 END"

VERIFICATIONS = f"""
    INSERT INTO verifications (id, phone, status, code_digest, api_key, created_at, expires_at)
    WITH RECURSIVE numbers(i) AS (
        SELECT CAST(:first AS BIGINT) UNION ALL SELECT i + 1 FROM numbers WHERE i < :last
    )
    SELECT 'v' || (1000000000 + i), {PHONE}, 'expired', :digest, 'bench',
        {CREATED}, {CREATED} + {VALIDITY_MS}
    FROM numbers
"""  # noqa: S608 -- our own constants
MESSAGES = f"""
    INSERT INTO messages (verification_id, channel, phone, body, body_key, status, attempts,
        available_at, expires_at, sender, provider_message_id, error, error_code,
        error_params, error_key, created_at,
        sending_at, sent_at, delivered_at, read_at, finished_at)
    WITH RECURSIVE numbers(i) AS (
        SELECT CAST(:first AS BIGINT) UNION ALL SELECT i + 1 FROM numbers WHERE i < :last
    ), bodies(number, body, body_key) AS (VALUES {{bodies}}),
    errors(number, error, error_code, error_params, error_key) AS (VALUES {{errors}})
    SELECT 'v' || (1000000000 + i), 'sandbox', {PHONE}, body, body_key, {STATUS}, 1,
        {CREATED}, {CREATED} + {VALIDITY_MS}, 'main@bench', 'old-' || i,
        CASE WHEN i % 100 BETWEEN 95 AND 98 THEN error END,
        CASE WHEN i % 100 BETWEEN 95 AND 98 THEN error_code END,
        CASE WHEN i % 100 BETWEEN 95 AND 98 THEN error_params END,
        CASE WHEN i % 100 BETWEEN 95 AND 98 THEN error_key END,
        {CREATED},
        {CREATED} + 40,
        CASE WHEN i % 100 < 95 THEN {CREATED} + 60 END,
        CASE WHEN {ARRIVED} THEN {CREATED} + {DELIVERY_MS} END,
        CASE WHEN i % 100 < 60 THEN {CREATED} + 9000 END,
        CASE WHEN i % 100 >= 95 THEN {CREATED} + 500 END
    FROM numbers
    JOIN bodies ON bodies.number = i % {{body_count}}
    JOIN errors ON errors.number = i % {{error_count}}
    ORDER BY i
"""  # noqa: S608 -- our own constants
COUNTS = """
    INSERT INTO message_counts (status, shard, count)
    SELECT status, 0, count(*) FROM messages GROUP BY status
"""
TRAFFIC = """
    INSERT INTO traffic
        (unit, start, shard, accepted, sent, delivered, read, failed, expired, canceled)
    SELECT :unit, created_at - created_at % :length, 0, count(*), count(sent_at),
        count(delivered_at), count(read_at), sum(CASE WHEN status = 'failed' THEN 1 ELSE 0 END),
        sum(CASE WHEN status = 'expired' THEN 1 ELSE 0 END),
        sum(CASE WHEN status = 'canceled' THEN 1 ELSE 0 END)
    FROM messages WHERE created_at >= :begin GROUP BY created_at - created_at % :length
"""
# Two processes have counted, so each hour has two rows per bucket.
DELIVERY_TIMES = """
    INSERT INTO delivery_times (unit, start, shard, bucket, count)
    WITH buckets(bucket, low, high) AS (VALUES {buckets})
    SELECT :unit, created_at - created_at % :length, id % 2, bucket, count(*)
    FROM messages JOIN buckets ON delivered_at - created_at BETWEEN low AND high
    WHERE created_at >= :begin
    GROUP BY created_at - created_at % :length, id % 2, bucket
"""


def fill(database: Database, *, count: int, now: int) -> None:
    """Store `count` messages of the last month with their related rows."""
    step = MONTH_MS // count
    moments = {"begin": now - count * step, "step": step}
    with database.write() as connection:
        statement = _messages(connection)
    for first in range(1, count + 1, ROWS_AT_ONCE):
        rows = {"first": first, "last": min(count, first + ROWS_AT_ONCE - 1), **moments}
        with database.write() as connection:
            _without_limits(connection)
            connection.execute(text(VERIFICATIONS), rows | {"digest": b"\0" * 32})
            connection.execute(text(statement), rows)
            _index_phones(connection)
    with database.write() as connection:
        _without_limits(connection)
        _keep_numbers(connection, now)
    _analyze(database)


def _index_phones(connection: Connection) -> None:
    if phone_index.has_new(connection):
        phone_index.index_some(connection, ROWS_AT_ONCE)


def _without_limits(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))


def _messages(connection: Connection) -> str:
    wordings = shipped()["otp"]
    bodies = text_store.keep(connection, [*wordings["ar"], *wordings["en"]])
    text_store.keep_errors(connection, ERRORS)
    errors = [(*columns("error", one).values(), text_store.key(one.english())) for one in ERRORS]
    return MESSAGES.format(
        bodies=_values(list(bodies.items())),
        errors=_values(errors),
        body_count=len(bodies),
        error_count=len(errors),
    )


def _values(rows: Sequence[tuple[str | int | None, ...]]) -> str:
    listed = (", ".join(map(_quoted, (number, *row))) for number, row in enumerate(rows))
    return ", ".join(f"({row})" for row in listed)


def _quoted(value: str | int | None) -> str:
    if isinstance(value, str):
        escaped = value.replace("'", "''").replace(":", r"\:")
        return f"'{escaped}'"
    return str(value)


def _keep_numbers(connection: Connection, now: int) -> None:
    connection.execute(text(COUNTS))
    for unit, length in counters.UNIT_MS.items():
        begin = now - counters.KEPT_MS[unit]
        moments = {"unit": unit, "length": length, "begin": begin}
        connection.execute(text(TRAFFIC), moments)
        connection.execute(text(DELIVERY_TIMES.format(buckets=_buckets())), moments)


def _buckets() -> str:
    """Return each delivery-time bucket with its first and last millisecond."""
    longest = counters.bucket(VALIDITY_MS)
    times: dict[int, list[int]] = {}
    for milliseconds in range(1, VALIDITY_MS):
        times.setdefault(counters.bucket(milliseconds), []).append(milliseconds)
    return ", ".join(
        f"({number}, {times[number][0]}, {times[number][-1]})"
        for number in range(longest)
        if number in times
    )


def _analyze(database: Database) -> None:
    """Gather statistics and vacuum, as the databases eventually do automatically."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE")
