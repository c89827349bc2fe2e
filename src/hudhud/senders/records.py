"""The records of senders: lease, heartbeat, state, and detail for the admin.

    starting → pairing → connected ⇄ reconnecting
                  ↑          ↓
                  └── logged_out | restricted | outdated | replaced          stopped

A sender belongs to one supervisor at a time (lease); its process sends heartbeats.
"""

from typing import Any

from sqlalchemy import (
    Case,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
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
# A sender counts as not running without a lease, or after three missing heartbeats.
LATE_MS = 10_000
LONGEST_NAME = 100
STATES_KEPT_MS = 8 * DAY_MS

NOT_NEEDED = say("sender.not_needed")

# Built once, because each claim needs them.
_IS_NAMED = senders.c.name == bindparam("b_name")
_LEASE_OWNER = select(senders.c.lease_owner).where(_IS_NAMED)
_PAUSED_AT = select(senders.c.paused_at).where(_IS_NAMED)
_NOTE_SENT = update(senders).where(_IS_NAMED).values(last_sent_at=bindparam("b_at"))


def register(connection: Connection, *, name: str, channel: str, now: int) -> None:
    """Create the sender's record, or update the channel of an existing one."""
    row = {"name": name, "channel": channel, "state": "stopped", "state_since": now}
    if not insert_or_ignore(connection, senders, row):
        of_other = (senders.c.name == name, senders.c.channel != channel)
        connection.execute(update(senders).where(*of_other).values(channel=channel))


def may_be_name(text: str) -> bool:
    """Return whether a text is a possible name of a sender."""
    return 0 < len(text) <= LONGEST_NAME and is_plain(text)


def name_in(holder: str) -> str:
    """Return the sender's name from a job's holder (`name@machine`)."""
    return holder.rpartition("@")[0] or holder


def find(connection: Connection, name: str) -> Row[tuple[object, ...]] | None:
    """Return a sender's record, or None."""
    return connection.execute(select(senders).where(senders.c.name == name)).first()


def is_running(record: Row[Any], *, now: int) -> bool:
    """Return whether the sender has a lease and a recent heartbeat."""
    return (record.lease_expires_at or 0) > now and (record.heartbeat_at or 0) > now - LATE_MS


def is_for_test_keys(connection: Connection, *, name: str) -> bool:
    """Return whether only test keys use this sender, a sandbox.

    True for a sandbox if any sender has another channel.
    """
    others = senders.alias("others")
    live = select(others.c.name).where(others.c.channel != SANDBOX)
    sandbox = select(senders.c.name).where(senders.c.name == name, senders.c.channel == SANDBOX)
    return connection.scalar(sandbox.where(live.exists())) is not None


def usual(state: State) -> Sentence:
    """Return the default sentence of a state."""
    return Sentence(f"sender.{state}")


def detail_of(record: Row[Any]) -> Sentence:
    """Return the sentence for a sender's state."""
    return stored(record, "detail") or usual(record.state)


def why_stopped(connection: Connection, *, name: str, now: int) -> Sentence:
    """Return the sentence for a sender that is not running."""
    for_tests = is_for_test_keys(connection, name=name)
    if for_tests and not api_keys.any_test_in_use(connection, now=now):
        return NOT_NEEDED
    return usual("stopped")


def take_lease(connection: Connection, *, name: str, owner: str, now: int) -> bool:
    """Take or renew the lease; return False while another owner holds it."""
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
    """Release the lease, so that another machine can take it at once."""
    connection.execute(
        update(senders)
        .where(senders.c.name == name, senders.c.lease_owner == owner)
        .values(lease_owner=None, lease_expires_at=None)
    )


def belongs_to(connection: Connection, *, name: str, owner: str) -> bool:
    """Return whether `owner` still holds the lease."""
    return connection.scalar(_LEASE_OWNER, {"b_name": name}) == owner


def beat(connection: Connection, *, name: str, now: int) -> None:
    """Record a heartbeat of the sender's process."""
    connection.execute(update(senders).where(senders.c.name == name).values(heartbeat_at=now))


def report(connection: Connection, *, name: str, new: StateReport, now: int) -> None:
    """Record a sender's state; a report without phone or device keeps them."""
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
    _note_link(connection, name, new, now)
    if has_changed:
        _add_event(connection, name, new.state, now=now)


def note_silence(connection: Connection, *, name: str, now: int) -> None:
    """Record the state `stopped` since the last heartbeat, if that is late."""
    later = senders.c.state_since > senders.c.heartbeat_at  # state newer than last heartbeat
    end = case((later, senders.c.state_since), else_=senders.c.heartbeat_at)
    silent = select(senders.c.name, literal("stopped"), end).where(
        senders.c.name == name,
        senders.c.state != "stopped",
        senders.c.heartbeat_at < now - LATE_MS,
    )
    if _keep_states(connection, silent):
        _add_event(connection, name, "stopped", now=now)


def purge_states(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` states older than `before`, except each sender's last."""
    last = select(func.max(sender_states.c.id)).group_by(sender_states.c.sender)
    is_old = and_(sender_states.c.at < before, sender_states.c.id.not_in(last))
    return delete_some(connection, sender_states, is_old, order=sender_states.c.at, limit=limit)


def pause(connection: Connection, *, name: str, now: int) -> bool:
    """Pause a sender; return False if already paused or unknown."""
    result = connection.execute(
        update(senders)
        .where(senders.c.name == name, senders.c.paused_at.is_(None))
        .values(paused_at=now)
    )
    return result.rowcount == 1


def resume(connection: Connection, *, name: str) -> bool:
    """Resume a sender; return False if not paused or unknown."""
    result = connection.execute(
        update(senders)
        .where(senders.c.name == name, senders.c.paused_at.is_not(None))
        .values(paused_at=None)
    )
    return result.rowcount == 1


def is_paused(connection: Connection, *, name: str) -> bool:
    """Return whether an admin has paused the sender."""
    return connection.scalar(_PAUSED_AT, {"b_name": name}) is not None


def forget_device(connection: Connection, *, name: str) -> None:
    """Forget the linked phone and device after a logout."""
    connection.execute(
        update(senders).where(senders.c.name == name).values(phone=None, device=None)
    )


def plan_next_send(connection: Connection, *, name: str, at: int) -> None:
    """Store the next send's time, so that a restart keeps the pace."""
    connection.execute(update(senders).where(senders.c.name == name).values(next_send_at=at))


def note_sent(connection: Connection, *, name: str, at: int) -> None:
    """Record when the sender last sent a message."""
    connection.execute(_NOTE_SENT, {"b_name": name, "b_at": at})


def _keep_states(connection: Connection, states: Select[Any]) -> bool:
    """Add to the history of states; return whether any were added."""
    kept = sender_states.insert().from_select(["sender", "state", "at"], states)
    return connection.execute(kept.returning(sender_states.c.id)).first() is not None


def _add_event(connection: Connection, name: str, state: State, *, now: int) -> None:
    """Store a webhook event, except for the sandbox of test keys."""
    if not is_for_test_keys(connection, name=name):
        events.sender_changed(connection, name, state, now=now)


def _note_link(connection: Connection, name: str, new: StateReport, now: int) -> None:
    """Keep the reason of a logout until a phone is linked again."""
    of_sender = update(senders).where(senders.c.name == name)
    if new.state == "logged_out":
        reason = columns("lost", new.detail or usual(new.state))
        connection.execute(
            of_sender.where(senders.c.lost_at.is_(None)).values(lost_at=now, **reason)
        )
    elif new.carries != "none":
        linked = of_sender.where(senders.c.lost_at.is_not(None))
        connection.execute(linked.values(lost_at=None, **columns("lost", None)))


def _since(state: State, now: int) -> Case[int]:
    return case((senders.c.state == state, senders.c.state_since), else_=now)
