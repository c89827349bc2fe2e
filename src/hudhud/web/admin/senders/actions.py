"""Actions of admins and scripts on senders: sessions, pairing, pause and resume."""

from collections.abc import Callable
from typing import Any

from litestar import Response, post
from sqlalchemy import Connection

from hudhud.auth.audit_log import What
from hudhud.core.phones import parse_phone
from hudhud.core.plain_text import shortened
from hudhud.core.sentences import say
from hudhud.senders import commands, records
from hudhud.web.admin.audited_change import DONE, ChangeResult, carry_out, respond
from hudhud.web.admin.login.guard import authenticate_changer
from hudhud.web.admin.ui.actor import Actor
from hudhud.web.admin.ui.forms import form_or_object_of
from hudhud.web.http.request import AnyRequest
from hudhud.web.state import AppState, state_of


@post("/admin/whatsapp/reinitialize", include_in_schema=False)
async def reload_session(request: AnyRequest) -> Response[Any]:
    """Restart a sender with its stored session."""
    actor = await authenticate_changer(request)
    return await _ask(request, actor, "reload", what="reload", asked="action.reload_asked")


@post("/admin/whatsapp/logout-session", include_in_schema=False)
async def log_out(request: AnyRequest) -> Response[Any]:
    """Log a sender's device out; a new QR code follows."""
    actor = await authenticate_changer(request)
    return await _ask(request, actor, "logout", what="logout_whatsapp", asked="action.logout_asked")


@post("/admin/whatsapp/pair-phone", include_in_schema=False)
async def pair_phone(request: AnyRequest) -> Response[Any]:
    """Request the eight-character code that links a number's phone."""
    actor = await authenticate_changer(request)  # before the body is checked
    fields = await form_or_object_of(request)
    phone = parse_phone(fields.one("phoneNumber"))
    if phone is None:
        result = ChangeResult(400, say("action.not_a_number"))
        return await _respond_of_sender(request, result)
    return await _ask(
        request,
        actor,
        "pair_phone",
        what="pair_phone",
        asked="action.pairing_asked",
        argument=phone.number,
    )


@post("/admin/whatsapp/pause", include_in_schema=False)
async def pause(request: AnyRequest) -> Response[Any]:
    """Pause a sender."""

    def change(connection: Connection, sender: str, now: int) -> ChangeResult:
        if records.pause(connection, name=sender, now=now):
            return ChangeResult(DONE, say("action.paused", sender=sender))
        return ChangeResult(409, say("action.paused_already", sender=sender))

    return await _change_sender(request, await authenticate_changer(request), change, what="pause")


@post("/admin/whatsapp/resume", include_in_schema=False)
async def resume(request: AnyRequest) -> Response[Any]:
    """Resume a sender."""

    def change(connection: Connection, sender: str, _now: int) -> ChangeResult:
        if records.resume(connection, name=sender):
            return ChangeResult(DONE, say("action.resumed", sender=sender))
        return ChangeResult(409, say("action.not_paused", sender=sender))

    return await _change_sender(request, await authenticate_changer(request), change, what="resume")


async def _ask(
    request: AnyRequest,
    actor: Actor,
    kind: commands.CommandKind,
    *,
    what: What,
    asked: str,
    argument: str | None = None,
) -> Response[Any]:
    """Pass a command to a sender's process; its card shows the result."""

    def change(connection: Connection, sender: str, now: int) -> ChangeResult:
        commands.ask(connection, sender=sender, kind=kind, now=now, argument=argument)
        return ChangeResult(DONE, say(asked, sender=sender))

    return await _change_sender(request, actor, change, what=what)


async def _change_sender(
    request: AnyRequest,
    actor: Actor,
    change: Callable[[Connection, str, int], ChangeResult],
    *,
    what: What,
) -> Response[Any]:
    """Change the sender named in the body, by default this machine's own."""
    fields = await form_or_object_of(request)
    sender = fields.one("sender") or state_of(request).sender.name
    if not records.may_be_name(sender):
        result = _no_such_sender(sender)
        return await _respond_of_sender(request, result)

    def change_known(
        connection: Connection, _parts: AppState, _actor: Actor, now: int
    ) -> ChangeResult:
        if records.find(connection, sender) is None:
            return _no_such_sender(sender)
        return change(connection, sender, now)

    result = await carry_out(request, actor, change_known, what=what, subject=sender)
    return await _respond_of_sender(request, result)


def _no_such_sender(name: str) -> ChangeResult:
    return ChangeResult(
        404, say("action.no_such_sender", sender=shortened(name, records.LONGEST_NAME))
    )


async def _respond_of_sender(request: AnyRequest, result: ChangeResult) -> Response[Any]:
    body: dict[str, object] = {"success": result.is_done, "message": result.sentence.english()}
    return await respond(request, result, body)


sender_routes = [reload_session, log_out, pair_phone, pause, resume]
