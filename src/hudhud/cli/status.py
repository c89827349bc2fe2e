"""`hudhud status`: the senders and the queue, even while nothing runs."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from sqlalchemy import Connection, Row, func, select

from hudhud import __version__
from hudhud.cli.terminal import existing_installation
from hudhud.core.clock import iso, now_ms
from hudhud.core.phones import mask_phone
from hudhud.core.settings import load_settings
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.db.migrate import current_revision
from hudhud.db.tables import messages
from hudhud.messages.states import QUEUED, SENDING
from hudhud.senders import records

# Counting the whole history would take longer every day.
LATEST_JOBS = 1000


def status(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the senders, the queue and the latest 1,000 jobs."""
    with existing_installation(load_settings()) as database:
        now = now_ms()
        with database.read() as connection:
            found = {
                "version": __version__,
                "database": _database(database),
                "senders": _senders(connection, now),
                "queue": _queue(connection, now),
                "latest_jobs": _latest_jobs(connection),
            }
    typer.echo(json.dumps(found, indent=2) if as_json else _readable(found))


def _database(database: Database) -> dict[str, str]:
    return {
        "kind": "SQLite" if database.is_sqlite else "PostgreSQL",
        "address": str(database.url.database)
        if database.is_sqlite
        else database.url.render_as_string(hide_password=True),
        "revision": str(current_revision(database)),
    }


def _senders(connection: Connection, now: int) -> list[dict[str, Any]]:
    rows = connection.execute(select(tables.senders).order_by(tables.senders.c.name))
    return [_sender(connection, row, now) for row in rows]


def _sender(connection: Connection, row: Row[Any], now: int) -> dict[str, Any]:
    running = records.is_running(row, now=now)
    why = records.why_stopped(connection, name=row.name, now=now)
    sentence = records.detail_of(row) if running else why
    return {
        "name": row.name,
        "channel": row.channel,
        "running": running,
        "state": row.state,
        "since": iso(row.state_since),
        "sentence": sentence.english(),
        "phone": None if row.phone is None else mask_phone(row.phone),
    }


def _queue(connection: Connection, now: int) -> dict[str, int | None]:
    oldest = connection.scalar(
        select(func.min(messages.c.created_at)).where(messages.c.status == QUEUED)
    )
    return {
        "queued": _count(connection, QUEUED),
        "sending": _count(connection, SENDING),
        "oldest_waits_seconds": None if oldest is None else max(0, now - oldest) // 1000,
    }


def _count(connection: Connection, state: str) -> int:
    waiting = select(func.count()).select_from(messages).where(messages.c.status == state)
    return connection.scalar(waiting) or 0


def _latest_jobs(connection: Connection) -> dict[str, int]:
    latest = select(messages.c.status).order_by(messages.c.id.desc()).limit(LATEST_JOBS).subquery()
    counts = select(latest.c.status, func.count()).group_by(latest.c.status)
    return dict(sorted((row[0], row[1]) for row in connection.execute(counts)))


def _readable(found: Mapping[str, Any]) -> str:
    database, queue = found["database"], found["queue"]
    waits = queue["oldest_waits_seconds"]
    oldest = "" if waits is None else f", the oldest for {waits} s"
    jobs = ", ".join(f"{count} {state}" for state, count in found["latest_jobs"].items())
    none = "none yet. Send a code with: hudhud send PHONE"
    return "\n".join(
        [
            f"Hudhud    {found['version']}",
            f"Database  {database['kind']} {database['address']}, revision {database['revision']}",
            *_senders_lines(found["senders"]),
            f"Queue     {queue['queued']} waiting{oldest}; {queue['sending']} being sent",
            f"Jobs      of the latest {LATEST_JOBS:,}: {jobs or none}",
        ]
    )


def _senders_lines(senders: Sequence[Mapping[str, Any]]) -> list[str]:
    if not senders:
        return ["Sender    none yet. Start it with: hudhud serve"]
    return [line for sender in senders for line in _sender_lines(sender)]


def _sender_lines(sender: Mapping[str, Any]) -> list[str]:
    state = f"{sender['state']} since {sender['since']}"
    if not sender["running"]:
        state = f"not running ({state})"
    phone = "" if sender["phone"] is None else f", phone {sender['phone']}"
    return [
        f"Sender    {sender['name']} ({sender['channel']}): {state}{phone}",
        f"          {sender['sentence']}",
    ]
