"""Senders: their records, the lease on each, their states and what an admin should do.

    starting → pairing → connected ⇄ reconnecting
                  ↑          ↓
                  └── logged_out | restricted | outdated | replaced          stopped

A sender belongs to one supervisor at a time (the lease); its process beats (the heartbeat).
"""

from typing import Any

from sqlalchemy import (
    Case,
    Connection,
    Row,
    Select,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    update,
)

from hudhud.auth import api_keys
from hudhud.channels.base import SANDBOX, State, StateReport
from hudhud.core.clock import DAY_MS
from hudhud.core.plain_text import is_plain
from hudhud.core.sentences import Sentence, say
from hudhud.core.stored_sentences import columns, stored
from hudhud.db.batches import delete_some
from hudhud.db.tables import sender_states, senders
from hudhud.db.upserts import insert_or_ignore
from hudhud.webhooks import events

LEASE_MS = 30_000
HEARTBEAT_MS = 3_000
# Without a heartbeat for this long a sender's process counts as hung.
SILENCE_MS = 30_000
# Without one for this long, or without a lease, it counts as not running: three beats are missing.
LATE_MS = 10_000
LONGEST_NAME = 100
STATES_KEPT_MS = 8 * DAY_MS

NOT_NEEDED = say("sender.not_needed")


def register(connection: Connection, *, name: str, channel: str, now: int) -> None:
    """Make the sender's record where it does not exist yet; else its channel is this one now."""
    row = {"name": name, "channel": channel, "state": "stopped", "state_since": now}
    if not insert_or_ignore(connection, senders, row):
        of_other = (senders.c.name == name, senders.c.channel != channel)
        connection.execute(update(senders).where(*of_other).values(channel=channel))


def may_be_name(text: str) -> bool:
    """Tell whether a sender may be named so: nothing else needs to be looked for."""
    return 0 < len(text) <= LONGEST_NAME and is_plain(text)


def name_in(holder: str) -> str:
    """Return the sender's name out of what a job says who holds it: `name@machine`."""
    return holder.rpartition("@")[0] or holder


def find(connection: Connection, name: str) -> Row[tuple[object, ...]] | None:
    """Return the sender's record, or None."""
    return connection.execute(select(senders).where(senders.c.name == name)).first()


def is_running(record: Row[Any], *, now: int) -> bool:
    """Tell whether a supervisor holds the sender of this record and its process beat lately."""
    return (record.lease_expires_at or 0) > now and (record.heartbeat_at or 0) > now - LATE_MS


def is_for_test_keys(connection: Connection, *, name: str) -> bool:
    """Tell whether this is a sandbox that only test keys use: live ones have another channel."""
    others = senders.alias("others")
    live = select(others.c.name).where(others.c.channel != SANDBOX)
    sandbox = select(senders.c.name).where(senders.c.name == name, senders.c.channel == SANDBOX)
    return connection.scalar(sandbox.where(live.exists())) is not None


def usual(state: State) -> Sentence:
    """Return the sentence of a state that has no detail of its own."""
    return Sentence(f"sender.{state}")


def detail_of(record: Row[Any]) -> Sentence:
    """Return the sentence that explains a sender's state."""
    return stored(record, "detail") or usual(record.state)


def why_stopped(connection: Connection, *, name: str, now: int) -> Sentence:
    """Return what an admin should know of a sender that does not run."""
    for_tests = is_for_test_keys(connection, name=name)
    if for_tests and not api_keys.any_test_in_use(connection, now=now):
        return NOT_NEEDED
    return usual("stopped")


def take_lease(connection: Connection, *, name: str, owner: str, now: int) -> bool:
    """Take or renew the lease for `owner`; False while another one's has not run out."""
    result = connection.execute(
        update(senders)
        .where(
            senders.c.name == name,
            or_(
                senders.c.lease_owner == owner,
                senders.c.lease_owner.is_(None),
                senders.c.lease_expires_at <= now,
            ),
        )
        .values(lease_owner=owner, lease_expires_at=now + LEASE_MS)
    )
    return result.rowcount == 1


def drop_lease(connection: Connection, *, name: str, owner: str) -> None:
    """Give the lease back, so that another machine need not wait for its end."""
    connection.execute(
        update(senders)
        .where(senders.c.name == name, senders.c.lease_owner == owner)
        .values(lease_owner=None, lease_expires_at=None)
    )


def belongs_to(connection: Connection, *, name: str, owner: str) -> bool:
    """Tell whether the lease is still the owner's: another machine may have taken it."""
    holder = connection.scalar(select(senders.c.lease_owner).where(senders.c.name == name))
    return holder == owner


def beat(connection: Connection, *, name: str, now: int) -> None:
    """Record that the sender's process is alive and at work."""
    connection.execute(update(senders).where(senders.c.name == name).values(heartbeat_at=now))


def report(connection: Connection, *, name: str, new: StateReport, now: int) -> None:
    """Record a sender's state; the linked phone and device are kept until they change."""
    changed = select(senders.c.name, literal(new.state), literal(now, senders.c.until.type))
    changed = changed.where(senders.c.name == name, senders.c.state != new.state)
    has_changed = _keep_states(connection, changed)
    connection.execute(
        update(senders)
        .where(senders.c.name == name)
        .values(
            state=new.state,
            state_since=_since(new.state, now),
            **columns("detail", new.detail or usual(new.state)),
            qr=new.qr,
            qr_expires_at=new.qr_expires_at,
            pair_code=new.pair_code,
            phone=func.coalesce(new.phone, senders.c.phone),
            device=func.coalesce(new.device, senders.c.device),
            carries=new.carries,
            until=new.until,
            failed_reconnects=new.failed_reconnects,
        )
    )
    if has_changed:
        _tell(connection, name, new.state, now=now)


def note_silence(connection: Connection, *, name: str, now: int) -> None:
    """Record that the sender was not running since its last beat, where that is a while ago."""
    later = senders.c.state_since > senders.c.heartbeat_at  # it said more after its last beat
    end = case((later, senders.c.state_since), else_=senders.c.heartbeat_at)
    silent = select(senders.c.name, literal("stopped"), end).where(
        senders.c.name == name,
        senders.c.state != "stopped",
        senders.c.heartbeat_at < now - LATE_MS,
    )
    if _keep_states(connection, silent):
        _tell(connection, name, "stopped", now=now)


def purge_states(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` states older than `before`, but of each sender the last one."""
    last = select(func.max(sender_states.c.id)).group_by(sender_states.c.sender)
    is_old = and_(sender_states.c.at < before, sender_states.c.id.not_in(last))
    return delete_some(connection, sender_states, is_old, order=sender_states.c.at, limit=limit)


def pause(connection: Connection, *, name: str, now: int) -> bool:
    """Hold the sending back; False where it is paused already or there is no such sender."""
    result = connection.execute(
        update(senders)
        .where(senders.c.name == name, senders.c.paused_at.is_(None))
        .values(paused_at=now)
    )
    return result.rowcount == 1


def resume(connection: Connection, *, name: str) -> bool:
    """Let the sending go on; False where it is not paused or there is no such sender."""
    result = connection.execute(
        update(senders)
        .where(senders.c.name == name, senders.c.paused_at.is_not(None))
        .values(paused_at=None)
    )
    return result.rowcount == 1


def is_paused(connection: Connection, *, name: str) -> bool:
    """Tell whether an admin holds the sending back."""
    paused = select(senders.c.paused_at).where(senders.c.name == name)
    return connection.scalar(paused) is not None


def forget_device(connection: Connection, *, name: str) -> None:
    """Forget the linked phone and device after a logout."""
    connection.execute(
        update(senders).where(senders.c.name == name).values(phone=None, device=None)
    )


def plan_next_send(connection: Connection, *, name: str, at: int) -> None:
    """Store from when on the sender may send again, so that a restart keeps the pace."""
    connection.execute(update(senders).where(senders.c.name == name).values(next_send_at=at))


def note_sent(connection: Connection, *, name: str, at: int) -> None:
    """Record when the sender sent a message last."""
    connection.execute(update(senders).where(senders.c.name == name).values(last_sent_at=at))


def count_alive(connection: Connection, *, channel: str, now: int) -> int:
    """Count the channel's senders that a supervisor holds, connected or not."""
    return (
        connection.scalar(
            select(func.count())
            .select_from(senders)
            .where(senders.c.channel == channel, senders.c.lease_expires_at > now)
        )
        or 0
    )


def _keep_states(connection: Connection, states: Select[Any]) -> bool:
    """Add to the history of states; return whether there was anything to add."""
    kept = sender_states.insert().from_select(["sender", "state", "at"], states)
    return connection.execute(kept.returning(sender_states.c.id)).first() is not None


def _tell(connection: Connection, name: str, state: State, *, now: int) -> None:
    """Tell webhooks, but not of the sandbox that comes and goes with test keys."""
    if not is_for_test_keys(connection, name=name):
        events.sender_changed(connection, name, state, now=now)


def _since(state: State, now: int) -> Case[int]:
    return case((senders.c.state == state, senders.c.state_since), else_=now)
