"""Count started and approved verifications by country.

Counts are kept per ten minutes of the start, only for verifications that are checked here. Each
process adds to its own rows (`upserts.SHARD`), and has separate rows for starts and approvals, so
that none of them waits for another.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection

from hudhud.core.clock import DAY_MS
from hudhud.core.phones import NO_COUNTRY, region, stored_phone
from hudhud.db.batches import delete_some
from hudhud.db.locks import lock_conversions
from hudhud.db.tables import conversions
from hudhud.db.upserts import SHARD, SHARDS, insert_or_add

PART_MS: Final = 600_000
KEPT_MS: Final = 8 * DAY_MS
SHARD_OF_STARTED: Final = SHARD
SHARD_OF_APPROVED: Final = SHARDS + SHARD


def note_started(connection: Connection, phones: Sequence[str], *, now: int) -> None:
    """Count verifications started at `now`."""
    numbers = _by_country(phones)
    keys = [_key(country, now, SHARD_OF_STARTED) for country in numbers]
    _add(connection, keys, [{"started": number, "approved": 0} for number in numbers.values()])


def note_approved(connection: Connection, phone: str, *, started_at: int, now: int) -> None:
    """Count a verification as approved, in the ten minutes of its start."""
    if started_at > now - KEPT_MS:
        keys = [_key(country, started_at, SHARD_OF_APPROVED) for country in _by_country([phone])]
        _add(connection, keys, [{"started": 0, "approved": 1} for _ in keys])


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` rows that begin before `before`; return how many."""
    start = conversions.c.start
    return delete_some(connection, conversions, start < before, order=start, limit=limit)


def _add(
    connection: Connection,
    keys: Sequence[Mapping[str, int | str]],
    amounts: Sequence[Mapping[str, int]],
) -> None:
    if keys:
        lock_conversions(connection, int(keys[0]["shard"]))
        insert_or_add(connection, conversions, keys, amounts)


def _key(country: str, at: int, shard: int) -> dict[str, int | str]:
    return {"country": country, "start": at - at % PART_MS, "shard": shard}


def _by_country(numbers: Sequence[str]) -> Counter[str]:
    """Count numbers by their country."""
    countries = [region(stored_phone(number)) for number in numbers]
    return Counter(country for country in countries if country != NO_COUNTRY)
