"""Responses to refused requests under /admin."""

from typing import Any

from litestar import Response
from litestar.types import ExceptionHandlersMap

from hudhud.auth.login_attempts import TooManyAttempts
from hudhud.core.clock import now_ms
from hudhud.core.errors import HudhudError
from hudhud.core.sentences import Sentence
from hudhud.web.admin.login.guard import LOGIN_PAGE, Forbidden, NotLoggedIn, WrongKey
from hudhud.web.admin.login.password_slots import Busy
from hudhud.web.admin.ui.render import page, see_other
from hudhud.web.admin.ui.render_thread import RenderedLater
from hudhud.web.admin.ui.translate import translate
from hudhud.web.admin.ui.view import view_of
from hudhud.web.http.query import with_query
from hudhud.web.http.request import AnyRequest, is_htmx, wants_page
from hudhud.web.http.responses import answer


def not_logged_in(request: AnyRequest, error: NotLoggedIn) -> Response[Any]:
    """Redirect people to the login and back afterwards; 401 for scripts."""
    if is_htmx(request):
        # The login page must not be inserted into the current page.
        return answer(_body(error), 401, {"HX-Redirect": LOGIN_PAGE})
    if wants_page(request):
        return see_other(request, _login_page(request))
    return answer({**_body(error), "redirectTo": LOGIN_PAGE}, 401)


def wrong_key(_request: AnyRequest, error: WrongKey) -> Response[Any]:
    """401: only scripts have keys."""
    return answer(_body(error), 401)


def forbidden(request: AnyRequest, error: Forbidden) -> Response[Any]:
    """403, for people as a page."""
    if wants_page(request) and not is_htmx(request):
        return RenderedLater(lambda: _page(request, 403, error.sentence))
    return answer(_body(error), 403)


def too_many_attempts(request: AnyRequest, error: TooManyAttempts) -> Response[Any]:
    """429 with the time of the next possible attempt."""
    if wants_page(request) and not is_htmx(request):
        return RenderedLater(lambda: _page(request, 429, error.sentence), retry_after(error))
    return answer({"message": str(error)}, 429, retry_after(error))


def busy(request: AnyRequest, error: Busy) -> Response[Any]:
    """503 while too many logins wait."""
    headers = {"Retry-After": str(error.retry_after)}
    if wants_page(request) and not is_htmx(request):
        return RenderedLater(lambda: _page(request, 503, error.sentence), headers)
    return answer(_body(error), 503, headers)


def retry_after(error: TooManyAttempts) -> dict[str, str]:
    """Return the Retry-After header."""
    return {"Retry-After": str(max(1, -(-(error.again_at - now_ms()) // 1000)))}


def _page(request: AnyRequest, status_code: int, sentence: Sentence) -> Response[Any]:
    view = view_of(request)
    return page(
        request,
        "error.html",
        actor=None,
        status_code=status_code,
        title=view.gettext("Request refused"),
        text=translate(sentence, view.language),
        request_id=None,
    )


def _body(error: HudhudError) -> dict[str, object]:
    return {"success": False, "message": str(error)}


def _login_page(request: AnyRequest) -> str:
    if request.method != "GET":
        return LOGIN_PAGE
    query = f"?{request.url.query}" if request.url.query else ""
    return with_query(LOGIN_PAGE, {"next": request.url.path + query})


HANDLERS: ExceptionHandlersMap = {
    NotLoggedIn: not_logged_in,
    WrongKey: wrong_key,
    Forbidden: forbidden,
    TooManyAttempts: too_many_attempts,
    Busy: busy,
}
