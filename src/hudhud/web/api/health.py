"""Health checks: liveness and readiness."""

import asyncio
from typing import Any

from litestar import Response, get
from litestar.openapi import ResponseSpec
from litestar.params import FromQuery
from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import SQLAlchemyError

from hudhud import __version__
from hudhud.core.clock import iso, now_ms
from hudhud.core.database_lost import DatabaseLost
from hudhud.core.stored_sentences import in_english
from hudhud.db.engine import Database
from hudhud.db.migrate import HEAD, current_revision, fits
from hudhud.db.tables import senders
from hudhud.db.write_probe import WriteProbe
from hudhud.senders.records import is_running, why_stopped
from hudhud.web.api.openapi import ApiOperation
from hudhud.web.api.schemas import Health, Readiness, SenderReadiness, Welcome
from hudhud.web.http.request import AnyRequest, wants_page
from hudhud.web.http.responses import answer
from hudhud.web.state import state_of

DASHBOARD = "/admin/status"
NOT_READY = ResponseSpec(
    Readiness, description="Requests cannot be accepted now.", generate_examples=False
)


@get(
    "/",
    summary="Welcome",
    tags=["Health"],
    operation_class=ApiOperation,
    sync_to_thread=False,
)
def welcome(request: AnyRequest) -> Response[Welcome]:
    """Answer at the root, like the earlier application; a browser is led to the dashboard."""
    body = Welcome(f"Hudhud {__version__} is running.", "success", iso(now_ms()))
    varies = {"Vary": "Accept"}
    if wants_page(request):
        return answer(body, 303, {**varies, "Location": DASHBOARD})
    return answer(body, headers=varies)


@get(
    "/healthz",
    summary="Alive",
    tags=["Health"],
    operation_class=ApiOperation,
    sync_to_thread=False,
)
def healthz() -> Response[Health]:
    """Answer 200 while the process is alive, whatever else is broken."""
    return answer(Health("ok"))


@get(
    "/readyz",
    summary="Ready",
    tags=["Health"],
    operation_class=ApiOperation,
    responses={503: NOT_READY},
)
async def readyz(request: AnyRequest, strict: FromQuery[str | None] = None) -> Response[Readiness]:
    """Answer 200 while requests can be accepted, 503 otherwise.

    Senders are reported too, but do not count, so that an unpaired installation can be reached for
    pairing. With `?strict`, at least one sender must have a supervisor, and every one that has must
    be connected; the sandbox of an installation with a linked device does not count.
    """
    state = state_of(request)
    readiness = await asyncio.to_thread(
        _readiness,
        state.database,
        state.write_probe,
        state.sender.channel,
        strict=strict is not None,
    )
    return answer(readiness, 200 if readiness.status == "ready" else 503)


def _readiness(database: Database, probe: WriteProbe, channel: str, *, strict: bool) -> Readiness:
    if database.losses.damage is not None:
        return Readiness("not ready", database.losses.damage.state, "unknown", [])
    try:
        revision = current_revision(database)
        if not fits(database, revision):
            migrations = f"at {revision or 'none'}, this version needs {HEAD}"
            return Readiness("not ready", "readable", migrations, [])
        with database.read() as connection:
            rows = connection.execute(select(senders).order_by(senders.c.name)).all()
            reported = [_sender(connection, row) for row in rows]
    except SQLAlchemyError as error:
        return Readiness("not ready", _state(error, "cannot be read"), "unknown", [])
    failure = probe.failure()
    if failure is not None:
        return Readiness("not ready", _state(failure, "cannot be written"), "current", reported)
    pairs = zip(rows, reported, strict=True)
    held = [sender for row, sender in pairs if _is_held(row) and row.channel == channel]
    connected = bool(held) and all(
        sender.running and sender.state == "connected" for sender in held
    )
    ready = connected or not strict
    return Readiness("ready" if ready else "not ready", "writable", "current", reported)


def _state(error: SQLAlchemyError, usual: str) -> str:
    return error.state if isinstance(error, DatabaseLost) else usual


def _sender(connection: Connection, row: Row[Any]) -> SenderReadiness:
    now = now_ms()
    detail = in_english(row, "detail")
    if row.state == "stopped":
        detail = why_stopped(connection, name=row.name, now=now).english()
    return SenderReadiness(row.name, row.state, detail, is_running(row, now=now))


def _is_held(row: Row[Any]) -> bool:
    return (row.lease_expires_at or 0) > now_ms()
