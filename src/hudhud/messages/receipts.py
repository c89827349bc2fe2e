"""Apply receipts to sent messages; a status only moves forward.

Receipts come from the channel through `worker/recorder.py`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from hudhud.channels.base import Receipt, ReceiptKind
from hudhud.db.tables import messages
from hudhud.messages import counters
from hudhud.messages.counters import Counts
from hudhud.messages.states import DELIVERED, READ, SENT
from hudhud.webhooks import events

_KNOWN = (
    select(
        messages.c.id,
        messages.c.provider_message_id,
        messages.c.status,
        messages.c.created_at,
        messages.c.sent_at,
        messages.c.delivered_at,
    )
    .where(messages.c.provider_message_id.in_(bindparam("ids", expanding=True)))
    .with_for_update()
)


_MOVE_ON = (
    update(messages)
    .where(messages.c.id == bindparam("b_id"))
    .values(
        status=bindparam("b_status"),
        delivered_at=bindparam("b_delivered"),
        read_at=bindparam("b_read"),
    )
)


def record_receipts(
    connection: Connection,
    receipts: Sequence[Receipt],
    *,
    now: int,
    counts_traffic: bool = True,
    counts: Counts | None = None,
) -> set[str]:
    """Mark sent messages as `delivered` or `read`; return the unknown ids.

    `read` implies `delivered`. A receipt that adds nothing new is ignored, so receipts may come
    twice and in any order. One that is dated before the message's last step, because it was heard
    before the send returned or a clock was set back, gets the time of that step. `counts_traffic`
    includes them in the charts. If `counts` are given, the caller writes them.
    """
    ids = {receipt.provider_message_id for receipt in receipts}
    if not ids:
        return set()
    found = list(connection.execute(_KNOWN, {"ids": list(ids)}))
    times = _times(receipts)
    moves = [move for row in found if (move := _move(row, times[row.provider_message_id]))]
    if moves:
        connection.execute(_MOVE_ON, [move.parameters for move in moves])
        _add_events(connection, moves, now)
        _count(connection, moves, now, counts_traffic=counts_traffic, counts=counts)
    return ids - {row.provider_message_id for row in found}


def unknown_of(connection: Connection, ids: AbstractSet[str]) -> set[str]:
    """Return the provider's message ids that no message has yet."""
    if not ids:
        return set()
    column = messages.c.provider_message_id
    return set(ids) - set(connection.scalars(select(column).where(column.in_(ids))))


@dataclass(frozen=True, slots=True)
class _Move:
    """A change from the status `before` to `status`."""

    id: int
    before: str
    status: ReceiptKind
    delivered: int
    read: int | None
    delivered_after: int | None

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of its update."""
        return {
            "b_id": self.id,
            "b_status": self.status,
            "b_delivered": self.delivered,
            "b_read": self.read,
        }


def _times(receipts: Sequence[Receipt]) -> dict[str, dict[ReceiptKind, int]]:
    """Return the time of the first receipt of each kind, by message."""
    times: dict[str, dict[ReceiptKind, int]] = {}
    for receipt in receipts:
        times.setdefault(receipt.provider_message_id, {}).setdefault(receipt.kind, receipt.at)
    return times


_BEFORE: dict[ReceiptKind, tuple[str, ...]] = {"delivered": (SENT,), "read": (SENT, DELIVERED)}


def _move(row: Any, times: Mapping[ReceiptKind, int]) -> _Move | None:
    status: ReceiptKind = "read" if "read" in times else "delivered"
    if row.status not in _BEFORE[status]:
        return None
    delivered = row.delivered_at
    if delivered is None:
        delivered = max(row.sent_at, times.get("delivered", times.get("read", 0)))
    read = max(delivered, times["read"]) if "read" in times else None
    took = delivered - row.created_at if row.status == SENT else None
    return _Move(row.id, row.status, status, delivered, read, took)


def _add_events(connection: Connection, moves: Sequence[_Move], now: int) -> None:
    arrived = [move.id for move in moves if move.before == SENT]
    read = [move.id for move in moves if move.status == READ]
    events.messages_changed(connection, "message.delivered", arrived, now=now)
    events.messages_changed(connection, "message.read", read, now=now)


def _count(
    connection: Connection,
    moves: Sequence[_Move],
    now: int,
    *,
    counts_traffic: bool,
    counts: Counts | None,
) -> None:
    moved: Counter[str] = Counter([move.status for move in moves])
    moved.subtract(Counter(move.before for move in moves))
    arrived = [move.delivered_after for move in moves if move.delivered_after is not None]
    read = sum(move.status == READ for move in moves)
    if not counts_traffic:
        counters.add(connection, now=now, moved=moved, counts=counts)
        return
    counters.add(
        connection,
        now=now,
        moved=moved,
        happened={"delivered": len(arrived), "read": read},
        delivered_after=arrived,
        counts=counts,
    )
