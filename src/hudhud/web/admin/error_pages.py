"""Errors under /admin, as pages for people; scripts get the usual responses."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from litestar import Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap
from sqlalchemy.exc import SQLAlchemyError

from hudhud.core.database_lost import DatabaseLost
from hudhud.core.errors import Refused
from hudhud.web.admin.ui.render import ADMIN_PATH, page
from hudhud.web.admin.ui.render_thread import RenderedLater
from hudhud.web.admin.ui.translate import translate
from hudhud.web.admin.ui.view import N_, View, view_of
from hudhud.web.http import errors
from hudhud.web.http.errors import (
    HTTP_METHOD_NOT_ALLOWED,
    HTTP_NOT_FOUND,
    HTTP_SERVER_ERROR,
    HTTP_TOO_LARGE,
    NoSuchJob,
)
from hudhud.web.http.request import REQUEST_ID_HEADER, AnyRequest, is_htmx, wants_page
from hudhud.web.http.responses import answer

HTTP_UNAVAILABLE = 503
# Headers of the usual response that a page keeps.
KEPT = (REQUEST_ID_HEADER, "Retry-After")
NO_SUCH_PAGE = (
    N_("Page not found"),
    N_("Check the address. The page may have been removed."),
)
# Title and text by status; UNREADABLE for others below 500, DEFECT for the rest.
WORDS = {
    HTTP_NOT_FOUND: NO_SUCH_PAGE,
    HTTP_METHOD_NOT_ALLOWED: NO_SUCH_PAGE,
    HTTP_TOO_LARGE: (
        N_("Request too large"),
        N_("The request is larger than this page accepts."),
    ),
    HTTP_UNAVAILABLE: (
        N_("The database does not respond"),
        N_("Hudhud cannot read or write just now. Try again in a moment."),
    ),
}
LOST = (
    N_("The database cannot be used"),
    N_("It is damaged, or its file was removed or replaced. The log of Hudhud says what to do."),
)
UNREADABLE = (
    N_("Request not valid"),
    N_("The request cannot be read. Reload the page and try again."),
)
DEFECT = (
    N_("Something went wrong"),
    N_("This is a bug in Hudhud, not something you did."),
)
Handler = Callable[[AnyRequest, Any], Response[Any]]


def _for_people(usual: Handler) -> Handler:
    """Render errors as pages for browsers, as messages for the page's script."""

    @wraps(usual)
    def handle(request: AnyRequest, error: Exception) -> Response[Any]:
        response = usual(request, error)
        if not _is_for_person(request):
            return response
        kept = {name: response.headers[name] for name in KEPT if name in response.headers}
        status = response.status_code or HTTP_SERVER_ERROR
        return RenderedLater(
            lambda: _answer(request, error, status, kept.get(REQUEST_ID_HEADER)), kept
        )

    return handle


def _answer(
    request: AnyRequest, error: Exception, status: int, number: str | None
) -> Response[Any]:
    title, text = _words(view_of(request), status, error)
    if is_htmx(request):
        return answer({"message": text}, status)
    shown = {"title": title, "text": text, "request_id": number}
    return page(request, "error.html", actor=None, status_code=status, **shown)


def _is_for_person(request: AnyRequest) -> bool:
    path = request.scope["path"]
    is_ours = path == ADMIN_PATH or path.startswith(f"{ADMIN_PATH}/")
    return is_ours and wants_page(request)


def _words(view: View, status: int, error: Exception) -> tuple[str, str]:
    if isinstance(error, NoSuchJob):
        return view.gettext("Job not found"), translate(error.sentence, view.language)
    if isinstance(error, Refused):
        return view.gettext("Request not valid"), translate(error.sentence, view.language)
    if isinstance(error, DatabaseLost):
        return view.gettext(LOST[0]), view.gettext(LOST[1])
    title, text = WORDS.get(status, UNREADABLE if status < HTTP_SERVER_ERROR else DEFECT)
    return view.gettext(title), view.gettext(text)


HANDLERS: ExceptionHandlersMap = {
    Refused: _for_people(errors.refused),
    NoSuchJob: _for_people(errors.no_such_job),
    SQLAlchemyError: _for_people(errors.database_error),
    HTTPException: _for_people(errors.http_error),
    Exception: _for_people(errors.unexpected),
}
