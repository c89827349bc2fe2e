"""/admin/second-factor: set up the second factor, or turn it off."""

import asyncio
from typing import Any

from litestar import Response, get, post
from litestar.types import ControllerRouterHandler

from hudhud.auth import second_factor, sessions
from hudhud.auth.sessions import Session
from hudhud.core.clock import now_ms
from hudhud.core.crypto import SealingError
from hudhud.core.sentences import say
from hudhud.web.admin.login.access import access_of
from hudhud.web.admin.login.guard import authenticate_changer, authenticate_reader, require_person
from hudhud.web.admin.login.steps import Login, WrongCode
from hudhud.web.admin.ui.actor import Actor
from hudhud.web.admin.ui.forms import form_of
from hudhud.web.admin.ui.notices import Notice
from hudhud.web.admin.ui.render import page, see_other
from hudhud.web.admin.ui.render_thread import in_render_thread
from hudhud.web.admin.ui.view import view_of
from hudhud.web.http.qr_svg import qr_svg
from hudhud.web.http.request import AnyRequest
from hudhud.web.state import AppState, state_of

PATH = "/admin/second-factor"
LARGEST_BODY = 16 * 1024
FOR_PEOPLE = say("login.second_factor_for_people")


@get(PATH, include_in_schema=False)
async def second_factor_page(request: AnyRequest) -> Response[Any]:
    """Show the state of the second factor and the possible actions."""
    actor = await authenticate_reader(request)
    require_person(actor, FOR_PEOPLE)
    return await _show(request, actor)


@post(f"{PATH}/begin", include_in_schema=False, request_max_body_size=LARGEST_BODY)
async def begin(request: AnyRequest) -> Response[Any]:
    """Create an unconfirmed secret; requires the password."""
    actor = await authenticate_changer(request)
    session = require_person(actor, FOR_PEOPLE)
    try:
        await Login(request).prove_again((await form_of(request)).one("proof"))
    except WrongCode:
        return await _show(request, actor, status_code=400, is_wrong=True)
    await asyncio.to_thread(_begin, request, session)
    return see_other(request, PATH)


@post(f"{PATH}/confirm", include_in_schema=False, request_max_body_size=LARGEST_BODY)
async def confirm(request: AnyRequest) -> Response[Any]:
    """Turn it on with the app's code, and show the recovery codes."""
    actor = await authenticate_changer(request)
    session = require_person(actor, FOR_PEOPLE)
    code = (await form_of(request)).one("totp")
    codes = await asyncio.to_thread(_confirm, request, actor, session, code)
    if codes is None:
        return await _show(request, actor, status_code=400, is_wrong=True)
    return await in_render_thread(page, request, "recovery_codes.html", actor=actor, codes=codes)


@post(f"{PATH}/off", include_in_schema=False, request_max_body_size=LARGEST_BODY)
async def turn_off(request: AnyRequest) -> Response[Any]:
    """Turn it off or cancel a setup; requires password or code."""
    actor = await authenticate_changer(request)
    session = require_person(actor, FOR_PEOPLE)
    state = state_of(request)
    if await asyncio.to_thread(_is_on, state, session):
        try:
            await Login(request).prove_again((await form_of(request)).one("proof"))
        except WrongCode:
            return await _show(request, actor, status_code=400, is_wrong=True)
    was_on = await asyncio.to_thread(_turn_off, state, actor, session)
    said = Notice("ok", view_of(request).gettext("The second factor is off."))
    return see_other(request, PATH, said if was_on else None)


second_factor_routes: list[ControllerRouterHandler] = [
    second_factor_page,
    begin,
    confirm,
    turn_off,
]


async def _show(
    request: AnyRequest, actor: Actor, *, status_code: int = 200, is_wrong: bool = False
) -> Response[str]:
    facts = await in_render_thread(_facts, request, actor)
    return await in_render_thread(
        page,
        request,
        "second_factor.html",
        actor=actor,
        status_code=status_code,
        is_wrong=is_wrong,
        **facts,
    )


def _facts(request: AnyRequest, actor: Actor) -> dict[str, Any]:
    cipher = access_of(request).second_factors
    with state_of(request).database.read() as connection:
        is_on = second_factor.is_on(connection, actor.name)
        left = second_factor.recovery_codes_left(connection, actor.name)
        try:
            setup = second_factor.pending(connection, cipher, actor.name)
        except SealingError:  # a new setup creates another secret
            setup = None
    return {"is_on": is_on, "codes_left": left, "setup": setup, "qr_svg": qr_svg}


def _is_on(state: AppState, session: Session) -> bool:
    with state.database.read() as connection:
        return second_factor.is_on(connection, session.username)


def _begin(request: AnyRequest, session: Session) -> None:
    cipher = access_of(request).second_factors
    with state_of(request).database.write() as connection:
        second_factor.begin_setup(connection, cipher, session.username)


def _confirm(request: AnyRequest, actor: Actor, session: Session, code: str) -> list[str] | None:
    cipher = access_of(request).second_factors
    with state_of(request).database.write() as connection:
        codes = second_factor.confirm(connection, cipher, session.username, code, now=now_ms())
        if codes is not None:
            # Sessions that began without the second factor must end.
            sessions.end_others(connection, session)
            actor.note(connection, "second_factor_on")
    return codes


def _turn_off(state: AppState, actor: Actor, session: Session) -> bool:
    with state.database.write() as connection:
        was_on = second_factor.is_on(connection, session.username)
        second_factor.turn_off(connection, session.username)
        if was_on:
            actor.note(connection, "second_factor_off")
    return was_on
