"""Is the process alive, and can it accept requests?"""

import asyncio

from litestar import Response, get
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from hudhud import __version__
from hudhud.clock import iso, now_ms
from hudhud.db.engine import Database
from hudhud.db.migrate import HEAD, current_revision
from hudhud.db.tables import installation, senders
from hudhud.web.schemas import Health, Readiness, SenderReadiness, Welcome


@get("/", sync_to_thread=False)
def welcome() -> Welcome:
    """Answer at the root, as the earlier application did."""
    return Welcome(f"Hudhud {__version__} is running.", "success", iso(now_ms()))


@get("/healthz", sync_to_thread=False)
def healthz() -> Health:
    """Answer while the process is alive, whatever else is broken."""
    return Health("ok")


@get("/readyz")
async def readyz(database: Database, strict: str | None = None) -> Response[Readiness]:
    """Answer 200 while requests can be accepted, 503 otherwise.

    Senders are reported beside it; with `?strict` an unconnected one means 503 too, without it an
    installation that is not paired yet can still be reached for pairing.
    """
    readiness = await asyncio.to_thread(_readiness, database)
    connected = all(sender.state == "connected" for sender in readiness.senders)
    ready = readiness.status == "ready" and (
        strict is None or (connected and bool(readiness.senders))
    )
    return Response(readiness, status_code=200 if ready else 503)


def _readiness(database: Database) -> Readiness:
    writable = _problem_with_writing(database)
    migrations = _problem_with_migrations(database) if writable is None else "unknown"
    return Readiness(
        status="ready" if writable is None and migrations is None else "not ready",
        database=writable or "writable",
        migrations=migrations or "current",
        senders=_senders(database) if writable is None else [],
    )


def _problem_with_writing(database: Database) -> str | None:
    try:
        with database.write() as connection:
            connection.execute(installation.delete().where(installation.c.name == ""))
    except SQLAlchemyError:
        return "cannot be written"
    return None


def _problem_with_migrations(database: Database) -> str | None:
    found = current_revision(database)
    return None if found == HEAD else f"at {found}, this version needs {HEAD}"


def _senders(database: Database) -> list[SenderReadiness]:
    columns = select(senders.c.name, senders.c.state, senders.c.detail)
    with database.read() as connection:
        return [SenderReadiness(*row) for row in connection.execute(columns)]
