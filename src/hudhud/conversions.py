"""How many verifications of a country are started, and how many of these are approved.

Kept by the ten minutes in which they were started, only for keys that check their codes here.
Processes add to different rows (`tally.SHARD`), so that none waits for another.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, delete, select, tuple_

from hudhud.countries import region
from hudhud.db.engine import insert_or_add
from hudhud.db.tables import conversions
from hudhud.phones import parse_phone
from hudhud.tally import SHARD

PART_MS: Final = 600_000
KEPT_MS: Final = 8 * 86_400_000
PURGED_AT_ONCE = 1000


def note_started(connection: Connection, phones: Sequence[str], *, now: int) -> None:
    """Count verifications that are started now."""
    _add(connection, started=_countries(phones), approved=Counter(), start=_part(now))


def note_approved(connection: Connection, phone: str, *, started_at: int, now: int) -> None:
    """Count a verification as approved, beside those that were started when it was."""
    if started_at > now - KEPT_MS:
        approved = _countries([phone])
        _add(connection, started=Counter(), approved=approved, start=_part(started_at))


def purge(connection: Connection, *, now: int) -> int:
    """Delete what is older than 8 days, at most `PURGED_AT_ONCE` rows; return how many."""
    key = (conversions.c.country, conversions.c.start, conversions.c.shard)
    old = (
        select(*key)
        .where(conversions.c.start < now - KEPT_MS)
        .order_by(conversions.c.start)
        .limit(PURGED_AT_ONCE)
    )
    return connection.execute(delete(conversions).where(tuple_(*key).in_(old))).rowcount


def _add(
    connection: Connection, *, started: Counter[str], approved: Counter[str], start: int
) -> None:
    countries = sorted(started | approved)
    if countries:
        insert_or_add(
            connection,
            conversions,
            [{"country": country, "start": start, "shard": SHARD} for country in countries],
            [{"started": started[country], "approved": approved[country]} for country in countries],
        )


def _countries(numbers: Sequence[str]) -> Counter[str]:
    phones = [parse_phone(number) for number in numbers]
    return Counter(region(phone) for phone in phones if phone is not None)


def _part(at: int) -> int:
    return at - at % PART_MS
