"""/admin/login and /admin/logout, by form for people and JSON for scripts."""

import asyncio
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.types import ControllerRouterHandler

from hudhud.auth import audit_log, sessions
from hudhud.auth.known_browsers import LIFETIME_MS
from hudhud.auth.login_attempts import TooManyAttempts
from hudhud.auth.sessions import Session
from hudhud.core.clock import now_ms
from hudhud.core.errors import BadRequest
from hudhud.web.admin.login.access import access_of
from hudhud.web.admin.login.guard import (
    AUTHENTICATION_REQUIRED,
    BROWSER_COOKIE,
    CSRF_WRONG,
    LOGIN_PAGE,
    SESSION_COOKIE,
    Forbidden,
    NotLoggedIn,
    address_of,
    check_csrf,
    session_of,
    token_of,
)
from hudhud.web.admin.login.refusals import retry_after
from hudhud.web.admin.login.steps import (
    CodeNeeded,
    Login,
    LoginForm,
    NewSession,
    WrongCode,
    WrongPassword,
)
from hudhud.web.admin.ui import csrf
from hudhud.web.admin.ui.forms import Form, form_of
from hudhud.web.admin.ui.page_keys import page_keys_of
from hudhud.web.admin.ui.render import STATUS_PAGE, cookie, page, see_other
from hudhud.web.admin.ui.render_thread import in_render_thread
from hudhud.web.http.bodies import body_of
from hudhud.web.http.query import with_query
from hudhud.web.http.request import JSON, AnyRequest, content_type, wants_page
from hudhud.web.http.responses import answer
from hudhud.web.state import state_of

# Binds the login form to the browser, which has no session yet.
FORM_COOKIE = "hudhud_login"
LONGEST_COOKIE = 100
LARGEST_BODY = 16 * 1024
MALFORMED = 'The body must be a JSON object with "username" and "password", both text.'
CODE_MALFORMED = 'In the body, "totp" must be text.'


@get("/admin/login", include_in_schema=False)
async def login_page(request: AnyRequest) -> Response[Any]:
    """Show the form for password or code; redirect a logged-in admin."""
    await access_of(request).proxies.watch(request)
    following = request.query_params.get("next", "")
    session = await session_of(request)
    if session is None:
        return await in_render_thread(_password_form, request, following)
    if session.is_complete:
        return see_other(request, following)
    return await in_render_thread(_code_form, request, session, following)


@post("/admin/login", include_in_schema=False, request_max_body_size=LARGEST_BODY)
async def log_in(request: AnyRequest) -> Response[Any]:
    """Log in with name and password."""
    await access_of(request).proxies.watch(request)
    if content_type(request) == JSON:
        return await _log_in_script(request)
    return await _log_in_person(request, await form_of(request))


@post("/admin/login/second-factor", include_in_schema=False, request_max_body_size=LARGEST_BODY)
async def give_code(request: AnyRequest) -> Response[Any]:
    """Complete a login with the code of the second factor."""
    session = await session_of(request)
    if session is None:
        raise NotLoggedIn(AUTHENTICATION_REQUIRED)
    form = await form_of(request)
    following = form.one("next")
    if session.is_complete:
        return see_other(request, following)
    await check_csrf(request, session)
    try:
        entered = await Login(request).complete(form.one("totp"))
    except (WrongCode, CodeNeeded):
        return await in_render_thread(_code_form, request, session, following, is_wrong=True)
    except TooManyAttempts as error:
        return await _limited(request, following, error)
    return _let_in(request, entered, see_other(request, following))


@post("/admin/logout", include_in_schema=False, request_max_body_size=LARGEST_BODY)
async def log_out(request: AnyRequest) -> Response[Any]:
    """End the session."""
    session = await session_of(request)
    if session is None:
        raise NotLoggedIn(AUTHENTICATION_REQUIRED)
    await check_csrf(request, session)
    await asyncio.to_thread(_end, request, session)
    left: Response[Any] = answer({"success": True, "redirectTo": LOGIN_PAGE}, 200)
    if wants_page(request):
        left = see_other(request, LOGIN_PAGE)
    left.delete_cookie(SESSION_COOKIE)
    return left


login_routes: list[ControllerRouterHandler] = [login_page, log_in, give_code, log_out]


class _ScriptLogin(msgspec.Struct):
    username: str
    password: str
    totp: str = ""


async def _log_in_script(request: AnyRequest) -> Response[Any]:
    given = _read_json(await body_of(request))
    try:
        entered = await Login(request).log_in(given, may_be_incomplete=False)
    except WrongPassword as error:
        return answer({"success": False, "message": str(error)}, 401)
    except (CodeNeeded, WrongCode) as error:
        body = {"success": False, "message": str(error), "secondFactor": True}
        return answer(body, 401)
    token = page_keys_of(request).csrf.token_for(entered.session)
    body = {"success": True, "redirectTo": STATUS_PAGE, "csrfToken": token}
    return _let_in(request, entered, answer(body, 200))


def _read_json(body: bytes) -> LoginForm:
    try:
        read = msgspec.json.decode(body, type=_ScriptLogin)
    except msgspec.ValidationError as error:
        raise BadRequest(CODE_MALFORMED if "$.totp" in str(error) else MALFORMED) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest(MALFORMED) from None
    return LoginForm(read.username, read.password, read.totp)


async def _log_in_person(request: AnyRequest, form: Form) -> Response[Any]:
    following = form.one("next")
    is_ours = page_keys_of(request).csrf.fits_login(
        form.one(csrf.FIELD), request.cookies.get(FORM_COOKIE)
    )
    if not is_ours:
        if not wants_page(request):
            raise Forbidden(CSRF_WRONG)
        return await in_render_thread(
            _password_form, request, following, status_code=403, problem="stale"
        )
    given = LoginForm(form.one("username"), form.one("password"))
    try:
        entered = await Login(request).log_in(given, may_be_incomplete=True)
    except WrongPassword:
        shown = {"problem": "wrong", "username": given.username}
        return await in_render_thread(_password_form, request, following, status_code=401, **shown)
    except TooManyAttempts as error:
        return await _limited(request, following, error)
    if entered.session.is_complete:
        return _let_in(request, entered, see_other(request, following))
    return _let_in(request, entered, see_other(request, _login_page(following)))


def _password_form(
    request: AnyRequest, following: str, *, status_code: int = 200, **context: Any
) -> Response[str]:
    bound = request.cookies.get(FORM_COOKIE, "")
    if not 0 < len(bound) <= LONGEST_COOKIE:
        bound = csrf.new_cookie()
    token = page_keys_of(request).csrf.token_for_login(bound)
    facts = {"problem": None, "again_at": None, "username": "", **context}
    shown = page(
        request,
        "login.html",
        actor=None,
        status_code=status_code,
        csrf=token,
        following=following,
        **facts,
    )
    shown.set_cookie(cookie(request, FORM_COOKIE, bound, path=LOGIN_PAGE))
    return shown


def _code_form(
    request: AnyRequest, session: Session, following: str, *, is_wrong: bool = False
) -> Response[str]:
    return page(
        request,
        "login_code.html",
        actor=None,
        status_code=401 if is_wrong else 200,
        csrf=page_keys_of(request).csrf.token_for(session),
        following=following,
        is_wrong=is_wrong,
    )


async def _limited(request: AnyRequest, following: str, error: TooManyAttempts) -> Response[Any]:
    if not wants_page(request):
        raise error
    facts = {"problem": "limited", "again_at": error.again_at}
    shown = await in_render_thread(_password_form, request, following, status_code=429, **facts)
    shown.headers.update(retry_after(error))
    return shown


def _login_page(following: str) -> str:
    return with_query(LOGIN_PAGE, {"next": following} if following else {})


def _let_in(request: AnyRequest, entered: NewSession, response: Response[Any]) -> Response[Any]:
    response.set_cookie(cookie(request, SESSION_COOKIE, entered.token, path="/"))
    if entered.browser_cookie is not None:
        lifetime = LIFETIME_MS // 1000
        response.set_cookie(
            cookie(request, BROWSER_COOKIE, entered.browser_cookie, seconds=lifetime)
        )
    return response


def _end(request: AnyRequest, session: Session) -> None:
    with state_of(request).database.write() as connection:
        sessions.end(connection, token_of(request) or "")
        audit_log.note(
            connection,
            who=session.username,
            address=address_of(request),
            what="logout",
            now=now_ms(),
        )
