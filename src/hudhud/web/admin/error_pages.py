"""Errors under /admin, as pages for people; scripts get what every other route answers."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from litestar import Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap
from sqlalchemy.exc import SQLAlchemyError

from hudhud.errors import BadRequest
from hudhud.web import errors
from hudhud.web.admin.guard import is_htmx, wants_page
from hudhud.web.admin.pages import ADMIN_PATH, page
from hudhud.web.admin.sentences import translate
from hudhud.web.admin.view import View, view_of
from hudhud.web.answers import answer as json_answer
from hudhud.web.errors import HTTP_METHOD_NOT_ALLOWED, HTTP_NOT_FOUND, HTTP_SERVER_ERROR, NoSuchJob
from hudhud.web.parts import AnyRequest
from hudhud.web.request_id import HEADER

HTTP_UNAVAILABLE = 503
Handler = Callable[[AnyRequest, Any], Response[Any]]


def _for_people(usual: Handler) -> Handler:
    """Show the error on a page where a person's browser asked; tell the page's script its words."""

    @wraps(usual)
    def handle(request: AnyRequest, error: Exception) -> Response[Any]:
        answer = usual(request, error)
        if not _is_for_person(request):
            return answer
        status = answer.status_code or HTTP_SERVER_ERROR
        title, text = _words(view_of(request), status, error)
        if is_htmx(request):
            return json_answer({"message": text}, status)
        number = answer.headers.get(HEADER)
        shown = {"title": title, "text": text, "request_id": number}
        return page(request, "error.html", actor=None, status_code=status, **shown)

    return handle


def _is_for_person(request: AnyRequest) -> bool:
    path = request.scope["path"]
    is_ours = path == ADMIN_PATH or path.startswith(f"{ADMIN_PATH}/")
    return is_ours and wants_page(request)


def _words(view: View, status: int, error: Exception) -> tuple[str, str]:
    if isinstance(error, NoSuchJob):
        return view.gettext("There is no such job"), _sentence(view, str(error))
    if isinstance(error, BadRequest):
        return view.gettext("That cannot be asked for"), _sentence(view, str(error))
    if status in (HTTP_NOT_FOUND, HTTP_METHOD_NOT_ALLOWED):
        return view.gettext("There is no such page"), view.gettext(
            "The address is wrong, or what it showed is gone."
        )
    if status == HTTP_UNAVAILABLE:
        return view.gettext("The database does not answer"), view.gettext(
            "Hudhud cannot read or write just now. Try again in a moment."
        )
    return view.gettext("Something went wrong"), view.gettext(
        "This is a defect of Hudhud, and nothing that you did."
    )


def _sentence(view: View, text: str) -> str:
    return translate(text, view.language) or text


HANDLERS: ExceptionHandlersMap = {
    BadRequest: _for_people(errors.bad_request),
    NoSuchJob: _for_people(errors.no_such_job),
    SQLAlchemyError: _for_people(errors.database_error),
    HTTPException: _for_people(errors.http_error),
    Exception: _for_people(errors.unexpected),
}
