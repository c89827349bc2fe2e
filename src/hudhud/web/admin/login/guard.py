"""Authentication under /admin: a session, or an API key of scope admin."""

import asyncio

from sqlalchemy.exc import SQLAlchemyError

from hudhud.auth import sessions
from hudhud.auth.sessions import Session
from hudhud.core.clock import now_ms
from hudhud.core.errors import HudhudError, NotAllowed
from hudhud.core.sentences import Sentence, say
from hudhud.web.admin.login.access import access_of
from hudhud.web.admin.ui import csrf
from hudhud.web.admin.ui.actor import KEY_ACTOR, Actor
from hudhud.web.admin.ui.forms import form_of
from hudhud.web.admin.ui.page_keys import page_keys_of
from hudhud.web.http.api_key import KEY_WRONG, require_address
from hudhud.web.http.request import AnyRequest
from hudhud.web.state import state_of

SESSION_COOKIE = "hudhud_session"
# Shows that an admin logged in with this browser before; it is no login.
BROWSER_COOKIE = "hudhud_browser"
LOGIN_PAGE = "/admin/login"
# The script sends it with requests that the admin did not cause: they do not prolong the session.
BACKGROUND_HEADER = "X-Background"
# A proxy may forward any text as an address.
LONGEST_ADDRESS = 64

AUTHENTICATION_REQUIRED = "Authentication required"
KEY_WITHOUT_SCOPE = say("login.key_without_scope")
CSRF_WRONG = say("login.csrf_wrong")


class NotLoggedIn(HudhudError):
    """There is no valid session; people are redirected to the login."""


class WrongKey(HudhudError):
    """The API key is invalid."""


class Forbidden(HudhudError):
    """The caller is authenticated but not allowed to do this."""


async def authenticate_reader(request: AnyRequest) -> Actor:
    """Return the actor of a reading request. Raises NotLoggedIn, WrongKey or Forbidden."""
    await access_of(request).proxies.watch(request)
    key = request.headers.get("x-api-key")
    if key:
        return Actor(f"{KEY_ACTOR}{await _key_name(request, key)}", address_of(request), None)
    session = await session_of(request)
    if session is None or not session.is_complete:
        raise NotLoggedIn(AUTHENTICATION_REQUIRED)
    return Actor(session.username, address_of(request), session)


async def authenticate_changer(request: AnyRequest) -> Actor:
    """Return the actor of a changing request, protected against CSRF.

    Raises Forbidden without a CSRF token of the session, and the errors of `authenticate_reader`.
    """
    actor = await authenticate_reader(request)
    if actor.session is not None:
        await check_csrf(request, actor.session)
    return actor


def require_person(actor: Actor, refusal: Sentence) -> Session:
    """Return the actor's session. Raises Forbidden with `refusal` for an API key."""
    if actor.session is None:
        raise Forbidden(refusal)
    return actor.session


async def check_csrf(request: AnyRequest, session: Session) -> None:
    """Raise Forbidden unless header or form contain a token of this session."""
    token = request.headers.get(csrf.HEADER) or (await form_of(request)).one(csrf.FIELD)
    if not page_keys_of(request).csrf.fits(token, session):
        raise Forbidden(CSRF_WRONG)


async def session_of(request: AnyRequest) -> Session | None:
    """Return the cookie's session unless it has ended; it may be incomplete."""
    token = token_of(request)
    if token is None:
        return None
    session = await asyncio.to_thread(_find, request, token)
    if session is not None and BACKGROUND_HEADER not in request.headers:
        access_of(request).session_use.note_soon(session)
    return session


async def is_still_in(request: AnyRequest, actor: Actor) -> bool:
    """Return whether a stream's actor still has access, without prolonging the session.

    True while the database cannot be read.
    """
    if actor.session is None:
        key = request.headers.get("x-api-key", "")
        return await state_of(request).api_key_cache.admin_name(key) is not None
    token = token_of(request) or ""
    try:
        session = await asyncio.to_thread(_find, request, token)
    except SQLAlchemyError:
        return True
    return session is not None and session.is_complete


def address_of(request: AnyRequest) -> str:
    """Return the client's address, as forwarded by TRUSTED_PROXIES."""
    return request.client.host[:LONGEST_ADDRESS] if request.client is not None else "unknown"


def token_of(request: AnyRequest) -> str | None:
    """Return the session token in the request's cookie."""
    return request.cookies.get(SESSION_COOKIE)


def known_browser_of(request: AnyRequest) -> str | None:
    """Return the known browser's cookie, unchecked."""
    return request.cookies.get(BROWSER_COOKIE)


async def _key_name(request: AnyRequest, key: str) -> str:
    caller = await state_of(request).api_key_cache.find(key)
    if caller is None:
        raise WrongKey(KEY_WRONG)
    try:
        require_address(request, caller)
    except NotAllowed as error:
        raise Forbidden(error.sentence) from None
    if not caller.may("admin"):
        raise Forbidden(KEY_WITHOUT_SCOPE)
    return caller.name


def _find(request: AnyRequest, token: str) -> Session | None:
    with state_of(request).database.read() as connection:
        marks = access_of(request).password.marks(connection)
        return sessions.find(connection, token, password_marks=marks, now=now_ms())
