"""The admin's overview of senders: state, uptime and last action."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Row, func, select

from hudhud.channels.base import State
from hudhud.channels.registry import ChannelType, channel_type
from hudhud.core.clock import DAY_MS, HOUR_MS
from hudhud.core.sentences import Sentence, say
from hudhud.core.stored_sentences import stored
from hudhud.db import tables
from hudhud.senders import commands, records
from hudhud.senders.records import is_running

# The code of a sender's detail while the phone asks for a passkey.
PASSKEY = "linked.passkey"
UPTIME_MS = DAY_MS
UPTIME_PARTS = 48
PART_MS = UPTIME_MS // UPTIME_PARTS
# A share of less time would be misleading.
LEAST_KNOWN_MS = HOUR_MS
# A reload or logout has failed if the sender reaches no lasting state within this time.
ACTION_MS = 20_000
_LASTING = {"connected", "pairing", "restricted", "outdated", "replaced", "logged_out"}

NOT_TAKEN = say("command.not_taken")
NO_STATE_YET = say("command.no_state_yet")


@dataclass(frozen=True, slots=True)
class ActionResult:
    """The result of an admin's last command to a sender.

    `why` is the reason of a failure, `seconds` the duration, `ended_at` the time of the result.
    """

    kind: commands.CommandKind
    status: Literal["asked", "done", "failed"]
    asked_at: int
    why: Sentence | None = None
    seconds: float | None = None
    ended_at: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SenderCard:
    """One sender as the dashboard shows it; times in milliseconds.

    `uptime` has one share (0 to 1) per half hour of the last day, or None before the first
    connection; `uptime_share` is None until an hour is known. A sandbox has neither. `lost` is why
    the phone was unlinked at `lost_at`, until one is linked again.
    """

    name: str
    channel: str
    state: State | Literal["paused"]
    since: int
    detail: Sentence
    phone: str | None
    qr: str | None
    qr_expires_at: int | None
    pair_code: str | None
    passkey_asked: bool
    until: int | None
    is_paused: bool
    is_running: bool
    last_sent_at: int | None
    uptime: tuple[float | None, ...]
    uptime_share: float | None
    action: ActionResult | None
    lost: Sentence | None = None
    lost_at: int | None = None

    @property
    def channel_type(self) -> ChannelType:
        """The properties of the sender's channel."""
        return channel_type(self.channel)


class _Span(NamedTuple):
    state: str
    begin: int
    end: int


def cards(connection: Connection, *, now: int) -> list[SenderCard]:
    """Return a card for each sender that ever ran, sorted by name."""
    rows = connection.execute(select(tables.senders).order_by(tables.senders.c.name))
    return [_card(connection, row, now) for row in rows]


def _card(connection: Connection, row: Row[Any], now: int) -> SenderCard:
    running = is_running(row, now=now)
    state, since, detail = row.state, row.state_since, records.detail_of(row)
    if not running:
        if state != "stopped":
            since = row.heartbeat_at or since
        state, detail = "stopped", records.why_stopped(connection, name=row.name, now=now)
    elif row.paused_at is not None and state == "connected":
        state, since = "paused", row.paused_at
    spans = _known_spans(connection, row, running=running, now=now)
    return SenderCard(
        name=row.name,
        channel=row.channel,
        state=state,
        since=since,
        detail=detail,
        phone=row.phone,
        qr=row.qr if running else None,
        qr_expires_at=row.qr_expires_at,
        pair_code=row.pair_code if running else None,
        passkey_asked=running and detail.code == PASSKEY,
        until=row.until,
        is_paused=row.paused_at is not None,
        is_running=running,
        last_sent_at=row.last_sent_at,
        uptime=_uptime(spans, now),
        uptime_share=_overall_share(spans, now),
        action=_present(_action(connection, row.name, now), state, since),
        lost=stored(row, "lost"),
        lost_at=row.lost_at,
    )


def _present(action: ActionResult | None, state: str, since: int) -> ActionResult | None:
    """Return the action unless the sender's state is newer than its result.

    A failure counts until the sender is connected again.
    """
    if action is None or action.ended_at is None or action.ended_at >= since:
        return action
    return action if action.status == "failed" and state != "connected" else None


def _known_spans(
    connection: Connection, row: Row[Any], *, running: bool, now: int
) -> Sequence[_Span]:
    """Return the spans of the last day since the first connection; none for a sandbox."""
    if not channel_type(row.channel).reaches_people:
        return ()
    first = _first_connection(connection, row)
    if first is None:
        return ()
    spans = _spans(_history(connection, row, running=running, now=now), now)
    return [span._replace(begin=max(span.begin, first)) for span in spans if span.end > first]


def _first_connection(connection: Connection, row: Row[Any]) -> int | None:
    """Return the time of the first connection; 0 if its record was deleted for its age."""
    connected = select(func.min(tables.sender_states.c.at)).where(
        tables.sender_states.c.sender == row.name, tables.sender_states.c.state == "connected"
    )
    was_linked = row.phone is not None or row.last_sent_at is not None or row.lost_at is not None
    return connection.scalar(connected) or (0 if was_linked else None)


def _history(
    connection: Connection, row: Row[Any], *, running: bool, now: int
) -> Sequence[tuple[str, int]]:
    """Return the states of the last day, oldest first, and their starts.

    The first one may have started earlier.
    """
    begin = now - UPTIME_MS
    of_sender = select(tables.sender_states.c.state, tables.sender_states.c.at).where(
        tables.sender_states.c.sender == row.name
    )
    before = of_sender.where(tables.sender_states.c.at <= begin)
    first = connection.execute(before.order_by(tables.sender_states.c.at.desc()).limit(1)).all()
    later = connection.execute(
        of_sender.where(tables.sender_states.c.at > begin).order_by(
            tables.sender_states.c.at, tables.sender_states.c.id
        )
    ).all()
    states = [(one.state, one.at) for one in (*first, *later)]
    if not running and row.heartbeat_at is not None:
        # Its last state can be newer than its last heartbeat.
        last_word = states[-1][1] if states else row.heartbeat_at
        states.append(("stopped", max(row.heartbeat_at, last_word)))
    return states


def _spans(states: Sequence[tuple[str, int]], now: int) -> list[_Span]:
    ends = [*(at for _state, at in states[1:]), now]
    return [_Span(state, at, end) for (state, at), end in zip(states, ends, strict=False)]


def _uptime(spans: Sequence[_Span], now: int) -> tuple[float | None, ...]:
    begin = now - UPTIME_MS
    starts = (begin + number * PART_MS for number in range(UPTIME_PARTS))
    return tuple(_share(spans, start, start + PART_MS) for start in starts)


def _overall_share(spans: Sequence[_Span], now: int) -> float | None:
    known = sum(span.end - max(span.begin, now - UPTIME_MS) for span in spans)
    return _share(spans, now - UPTIME_MS, now) if known >= LEAST_KNOWN_MS else None


def _share(spans: Sequence[_Span], begin: int, end: int) -> float | None:
    """Return the connected share of the known time between `begin` and `end`."""
    known = up = 0
    for span in spans:
        shared = max(0, min(span.end, end) - max(span.begin, begin))
        known += shared
        up += shared if span.state == "connected" else 0
    return up / known if known else None


def _action(connection: Connection, name: str, now: int) -> ActionResult | None:
    last = connection.execute(
        select(tables.commands)
        .where(tables.commands.c.sender == name)
        .order_by(tables.commands.c.id.desc())
        .limit(1)
    ).first()
    if last is None:
        return None
    if last.status == commands.FAILED:
        why, ended_at = stored(last, "result"), last.finished_at
        return ActionResult(last.kind, "failed", last.created_at, why, ended_at=ended_at)
    if last.status != commands.DONE:
        if now - last.created_at > commands.STALE_MS:
            return ActionResult(last.kind, "failed", last.created_at, NOT_TAKEN)
        return ActionResult(last.kind, "asked", last.created_at)
    if last.kind == "pair_phone":
        return ActionResult(last.kind, "done", last.created_at, ended_at=last.finished_at)
    return _new_start(connection, last, now)


def _new_start(connection: Connection, last: Row[Any], now: int) -> ActionResult:
    """Return whether a reload or logout succeeded, and its duration.

    Later changes of the sender's state do not matter.
    """
    back = _LASTING - {"logged_out"} if last.kind == "logout" else _LASTING
    back_at = connection.scalar(
        select(func.min(tables.sender_states.c.at)).where(
            tables.sender_states.c.sender == last.sender,
            tables.sender_states.c.at >= last.finished_at,
            tables.sender_states.c.state.in_(back),
        )
    )
    if back_at is not None:
        seconds = (back_at - last.created_at) / 1000
        return ActionResult(last.kind, "done", last.created_at, seconds=seconds, ended_at=back_at)
    if now - last.finished_at > ACTION_MS:
        return ActionResult(last.kind, "failed", last.created_at, NO_STATE_YET)
    return ActionResult(last.kind, "asked", last.created_at)
