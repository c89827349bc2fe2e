"""Rewriting of old rows while Hudhud runs, here of sentences without codes."""

from typing import Any

import pytest
from sqlalchemy import Table, insert, select, update

from hudhud.core.english import ENGLISH, OTHER
from hudhud.core.sentences import Sentence, holes, other, say
from hudhud.core.stored_sentences import decoded, stored
from hudhud.db import rewriting
from hudhud.db.engine import Database
from hudhud.db.migrations import old_sentences
from hudhud.db.migrations.recoding import RECODINGS
from hudhud.db.rewriting import Rewriting
from hudhud.db.tables import (
    audit,
    commands,
    installation,
    message_steps,
    messages,
    metadata,
    senders,
    texts,
    webhook_deliveries,
    webhook_endpoints,
)
from hudhud.messages import listing
from hudhud.messages.page_cursor import PageCursor
from hudhud.messages.search import JobFilter
from support.queued import NOW
from support.stored_jobs import CIPHER, StoredJob, put_jobs

NO_ACCOUNT = say("job.no_account")
NOT_TAKEN = say("job.not_taken", detail="error 479")
MOST_STEPS = 200
OLD_TEXTS = dict(old_sentences.SENTENCES)
# So few rows a transaction that several are needed.
FEW = 3


def old_text(sentence: Sentence) -> str:
    """Return the text that versions without codes stored for a sentence."""
    values = {
        name: old_text(value) if isinstance(value, Sentence) else value
        for name, value in sentence.params.items()
    }
    return OLD_TEXTS[sentence.code].format_map(values)


def put_old(database: Database, *errors: str) -> list[int]:
    """Insert messages as a version without codes stores them."""
    return put_jobs(database, *(StoredJob(status="failed", error=error) for error in errors))


def run(database: Database, *, steps: int = MOST_STEPS, job: Rewriting | None = None) -> Rewriting:
    job = job or Rewriting(database, at_once=FEW)
    for _ in range(steps):
        if job.rewrite_some() is None:
            return job
    assert steps < MOST_STEPS, "it does not end"
    return job


def coded(database: Database, table: Table = messages, column: str = "error") -> list[Any]:
    with database.read() as connection:
        rows = connection.execute(select(table).order_by(*table.primary_key.columns)).all()
    return [stored(row, column) if getattr(row, f"{column}_code") else None for row in rows]


def places(database: Database) -> list[str]:
    of_rewrites = installation.c.name.startswith(rewriting.REWRITE_MARK)
    with database.read() as connection:
        return list(connection.scalars(select(installation.c.value).where(of_rewrites)))


def put(database: Database, table: Table, *rows: dict[str, Any]) -> None:
    with database.write() as connection:
        connection.execute(insert(table), list(rows))


@pytest.mark.parametrize("params", ["x", "[]", "null", "5"])
def test_invalid_parameters_do_not_stop_the_pass(database: Database, params: str) -> None:
    put_old(database, old_text(NO_ACCOUNT), old_text(NO_ACCOUNT))
    with database.write() as connection:
        broken = {"error_code": "job.no_account", "error_params": params}
        connection.execute(update(messages).values(broken))
    run(database)
    assert coded(database) == [NO_ACCOUNT, NO_ACCOUNT]


def test_old_errors_get_codes(database: Database) -> None:
    put_old(database, old_text(NO_ACCOUNT), "Odd.", old_text(NOT_TAKEN), old_text(NO_ACCOUNT))
    run(database)
    assert coded(database) == [NO_ACCOUNT, other("Odd."), NOT_TAKEN, NO_ACCOUNT]
    assert places(database) == []


def test_newest_rows_come_first_in_small_transactions(database: Database) -> None:
    put_old(database, *[old_text(NO_ACCOUNT)] * 8)
    job = Rewriting(database, at_once=FEW)
    seen = []
    for _ in range(30):
        job.rewrite_some()
        seen.append([number for number, one in enumerate(coded(database)) if one is not None])
    steps = [found for found, before in zip(seen, [[], *seen], strict=False) if found != before]
    assert steps == [[5, 6, 7], [2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 4, 5, 6, 7]]
    assert len(steps[0]) == FEW


def test_interrupted_pass_resumes(database: Database) -> None:
    ids = put_old(database, *[old_text(NO_ACCOUNT)] * 8)
    job = Rewriting(database, at_once=FEW)
    while not any(coded(database)):
        job.rewrite_some()
    assert places(database) == [str(ids[5])]
    (newest,) = put_old(database, old_text(NOT_TAKEN))
    following = Rewriting(database, at_once=FEW)
    while coded(database)[2] is None:
        following.rewrite_some()
    assert coded(database)[-1] is None, "the newest rows wait for the next pass"
    run(database, job=following)
    assert all(coded(database))
    assert newest > ids[-1]


def test_rows_added_above_an_interrupted_pass_are_rewritten(database: Database) -> None:
    (old, new) = put_old(database, old_text(NO_ACCOUNT), old_text(NOT_TAKEN))
    name = f"{rewriting.REWRITE_MARK}0004 messages.error"
    put(database, installation, {"name": name, "value": str(old)})
    run(database)
    assert coded(database) == [NO_ACCOUNT, NOT_TAKEN]
    assert new > old
    assert places(database) == []


def test_a_pass_that_found_nothing_is_followed_by_a_rest(database: Database) -> None:
    job = run(database)
    put_old(database, old_text(NO_ACCOUNT))
    assert job.rewrite_some() is None
    assert coded(database) == [None]


def test_rows_written_later_by_an_older_version_are_rewritten(database: Database) -> None:
    put_old(database, old_text(NO_ACCOUNT))
    job = run(database, job=Rewriting(database, at_once=FEW, again_seconds=0.0))
    put_old(database, old_text(NOT_TAKEN))
    run(database, job=job)
    assert coded(database) == [NO_ACCOUNT, NOT_TAKEN]


def test_text_changed_by_an_older_version_is_rewritten_despite_its_code(
    database: Database,
) -> None:
    (number,) = put_jobs(database, StoredJob(error=NOT_TAKEN))
    with database.write() as connection:
        changed = update(messages).where(messages.c.id == number)
        connection.execute(changed.values(error=old_text(NO_ACCOUNT)))
    assert coded(database) == [other(old_text(NO_ACCOUNT))]
    run(database)
    assert coded(database) == [NO_ACCOUNT]


def test_row_with_a_code_is_unchanged(database: Database) -> None:
    put_jobs(database, StoredJob(error=NOT_TAKEN), StoredJob())
    with database.read() as connection:
        before = connection.execute(select(messages)).all()
    run(database)
    with database.read() as connection:
        assert connection.execute(select(messages)).all() == before


def test_search_finds_old_errors_by_their_codes(database: Database) -> None:
    found, _ = put_old(database, old_text(NOT_TAKEN), "Odd.")
    run(database)
    with database.read() as connection:
        chosen = JobFilter(search="nowhere", codes=("job.not_taken",))
        page, _ = listing.page(connection, CIPHER, chosen, PageCursor(9), now=NOW)
        assert [job.id for job in page.jobs] == [found]
        chosen = JobFilter(search="nowhere", reads=lambda sentence: sentence == NOT_TAKEN)
        page, _ = listing.page(connection, CIPHER, chosen, PageCursor(9), now=NOW)
        assert [job.id for job in page.jobs] == [found]
        kept = connection.execute(select(texts).where(texts.c.text == "Odd.")).one()
    assert (kept.code, kept.params) == (None, None)


def test_every_table_is_rewritten(database: Database) -> None:
    sender = {"channel": "linked", "state": "pairing", "state_since": NOW, "failed_reconnects": 0}
    said = [say("linked.passkey"), say("linked.unreachable", detail="timed out")]
    put(
        database,
        senders,
        *({**sender, "name": one.code, "next_send_at": 0, "detail": old_text(one)} for one in said),
    )
    command = {"sender": "linked.passkey", "created_at": NOW}
    put(
        database,
        commands,
        {**command, "kind": "pair_phone", "status": "done", "result": "ABCD1234"},
        {**command, "kind": "logout", "status": "failed", "result": "No device is linked."},
    )
    step = {"message_id": 1, "at": NOW}
    put(
        database,
        message_steps,
        {**step, "kind": "retried", "text": "admin"},
        {**step, "kind": "attempt_lost", "text": old_text(say("job.lost"))},
    )
    delivery = {"endpoint_id": 1, "event_id": 1, "subject": "s", "status": "failed", "attempts": 1}
    delivery |= {"next_at": 0, "created_at": NOW, "waits_since": NOW}
    error = say("webhook.refused_saying", status=500, excerpt="no: it broke.")
    put(database, webhook_deliveries, {**delivery, "last_error": old_text(error)})
    endpoint = {"url": "u", "kinds": "", "secret_sealed": b"", "created_at": NOW}
    gone = say("webhook.gone")
    put(database, webhook_endpoints, {**endpoint, "disabled_reason": old_text(gone)})
    refused = say("action.not_retried", job="7", reason=say("refusal.expired"))
    note = {"at": NOW, "who": "admin", "what": "retry", "outcome": "refused"}
    put(database, audit, {**note, "detail": old_text(refused)}, {**note, "detail": None})
    run(database)
    assert coded(database, senders, "detail") == said
    assert coded(database, commands, "result") == [None, say("command.no_device")]
    assert coded(database, message_steps, "text") == [None, say("job.lost")]
    assert coded(database, webhook_deliveries, "last_error") == [error]
    assert coded(database, webhook_endpoints, "disabled_reason") == [gone]
    assert coded(database, audit, "detail") == [refused, None]


def test_every_column_with_codes_is_covered() -> None:
    with_codes = {
        f"0004 {table.name}.{column.name.removesuffix('_code')}"
        for table in metadata.sorted_tables
        for column in table.columns
        if f"{column.name.removesuffix('_code')}_params" in table.columns
        and column.name.endswith("_code")
    }
    newer = {"0004 senders.lost"}  # revision 0008 added it, so it has no text without a code
    assert {one.name for one in RECODINGS} == with_codes - newer


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_locked_rows_are_left_for_the_next_pass(
    database: Database,
) -> None:
    put_old(database, old_text(NO_ACCOUNT), old_text(NO_ACCOUNT))
    job = Rewriting(database, at_once=FEW)
    with database.write() as connection:
        held = select(messages.c.id).where(messages.c.id == 1).with_for_update()
        connection.execute(held)
        for _ in range(10):
            job.rewrite_some()
        assert coded(database) == [None, NO_ACCOUNT]
    run(database, job=job)
    assert coded(database) == [NO_ACCOUNT, NO_ACCOUNT]


def sample(code: str) -> Sentence:
    """Return a sentence of this code with parameters that resemble its text."""
    numbers: dict[str, int | str] = {"status": 500, "count": 7}
    return Sentence(code, {name: numbers.get(name, "a (b): c") for name in holes(OLD_TEXTS[code])})


@pytest.mark.parametrize("code", [code for code, _ in old_sentences.SENTENCES])
def test_texts_of_old_versions_are_recognised(code: str) -> None:
    wanted = sample(code)
    found = decoded(*old_sentences.coded(old_text(wanted)))
    assert found is not None
    assert found.code in ENGLISH
    assert old_text(found) == old_text(wanted)
    assert found.params == wanted.params


@pytest.mark.parametrize("text", ["", "Odd.", "WhatsApp did not take it: ", "x" * 9999, "{detail}"])
def test_unknown_text_is_kept(text: str) -> None:
    assert old_sentences.coded(text) == (OTHER, {"text": text})


def test_rewritten_rows_read_like_new_ones(database: Database) -> None:
    put_old(database, old_text(NOT_TAKEN))
    run(database)
    with database.read() as connection:
        row = connection.execute(select(messages)).one()
    assert row.error == old_text(NOT_TAKEN), "the text is left as it was"
    assert stored(row, "error") == NOT_TAKEN
    assert row.error_code == NOT_TAKEN.code
