"""Render the dashboard's pages and their live parts."""

import gzip
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Response
from litestar.datastructures import Cookie
from litestar.serialization import default_serializer
from litestar.types import Serializer

from hudhud import __version__
from hudhud.core.clock import YEAR_SECONDS, now_ms
from hudhud.web.admin.ui.actor import Actor
from hudhud.web.admin.ui.format import Format
from hudhud.web.admin.ui.notices import FLASH_COOKIE, FLASH_SECONDS, Notice
from hudhud.web.admin.ui.page_keys import page_keys_of
from hudhud.web.admin.ui.view import (
    LANGUAGE_COOKIE,
    LANGUAGES,
    THEMES,
    Language,
    View,
    asked_language,
    load_zones,
    theme_of,
    translations,
    view_of,
)
from hudhud.web.http.query import with_query
from hudhud.web.http.request import AnyRequest
from hudhud.web.http.static_files import static_url, takes_gzip

TEMPLATE_FOLDER = Path(__file__).parents[2] / "pages"
ADMIN_PATH = "/admin"
STATUS_PAGE = f"{ADMIN_PATH}/status"
# A path of the dashboard and a query, without dots or any character that could lead elsewhere.
LOCAL = re.compile(rf"{ADMIN_PATH}(/[\w~-]+)*/?(\?[!$-;=?-\[\]-~]*)?", re.ASCII)
# Level 9 saves 1 % more and takes twice as long.
GZIP_LEVEL = 6
# Below this size, gzip's overhead outweighs its savings.
SMALLEST_GZIP = 500

ALLOWED = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "worker-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
# In addition to those of every response under /admin (`http/middleware.py`).
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{what} {where}" for what, where in ALLOWED.items()),
}


class Page(Response[str]):
    """A page or part of one, compressed if the browser accepts gzip.

    The body is encoded immediately, in the render thread, not when the response is sent.
    """

    def __init__(self, html: str, *, is_compressed: bool, status_code: int) -> None:
        headers = {**HEADERS, "Vary": "Accept-Encoding"}
        self._body = html.encode()
        if is_compressed and len(html) >= SMALLEST_GZIP:
            headers["Content-Encoding"] = "gzip"
            self._body = gzip.compress(self._body, GZIP_LEVEL, mtime=0)
        super().__init__(html, status_code=status_code, headers=headers, media_type=MediaType.HTML)

    def render(
        self, content: Any, media_type: MediaType | str, enc_hook: Serializer = default_serializer
    ) -> bytes:
        """Return the body."""
        del content, media_type, enc_hook
        return self._body


def page(
    request: AnyRequest,
    template: str,
    *,
    actor: Actor | None,
    status_code: int = 200,
    **context: Any,
) -> Response[str]:
    """Answer with a page or part of one, in the reader's view.

    `?lang=` is stored in a cookie and removed from the URL. `csrf` in the context overrides the
    token of the actor's session; without either, forms have none.
    """
    chosen = asked_language(request)
    if chosen is not None and request.method == "GET":
        return _with_language(request, chosen)
    view = view_of(request)
    notice = page_keys_of(request).notices.open(request.cookies.get(FLASH_COOKIE))
    if "csrf" not in context:
        context["csrf"] = _csrf(request, actor)
    html = _render(
        view,
        template,
        {
            "actor": actor,
            "theme": theme_of(request),
            "path": request.url.path,
            "address": _address(request),
            "notice": notice,
            **context,
        },
    )
    answer = Page(html, is_compressed=takes_gzip(request), status_code=status_code)
    if notice is not None:
        answer.delete_cookie(FLASH_COOKIE, path=ADMIN_PATH)
    return answer


def fragment(view: View, template: str, **context: Any) -> str:
    """Render a part for all readers with this view, without CSRF tokens."""
    return _render(view, template, {"csrf": None, "address": None, **context}).strip()


def see_other(request: AnyRequest, address: str, notice: Notice | None = None) -> Response[str]:
    """Redirect a form to a dashboard page, which shows the notice."""
    answer = _redirect(local(address))
    if notice is not None:
        value = page_keys_of(request).notices.seal(notice)
        answer.set_cookie(cookie(request, FLASH_COOKIE, value, seconds=FLASH_SECONDS))
    return answer


def keep_choice(
    request: AnyRequest, answer: Response[Any], name: str, value: str, *, path: str = ADMIN_PATH
) -> None:
    """Store a reader's choice for a year, for the pages below `path`."""
    answer.set_cookie(cookie(request, name, value, path=path, seconds=YEAR_SECONDS))


def local(address: str) -> str:
    """Return the URL if it is in the dashboard, else its start."""
    return address if LOCAL.fullmatch(address) else STATUS_PAGE


def warm() -> None:
    """Load templates, catalogs, zones and digests before the first pages need them."""
    for language in LANGUAGES:
        environment = _environment(language)
        for template in environment.list_templates():
            environment.get_template(template)
        translations(language)
    load_zones()
    static_url("hudhud.svg")


def _render(view: View, template: str, context: Mapping[str, Any]) -> str:
    facts = {
        "now": now_ms(),
        "view": view,
        "language": view.language,
        "dir": "rtl" if view.language == "ar" else "ltr",
        **context,
    }
    facts["fmt"] = Format(view, facts["now"])
    return _environment(view.language).get_template(template).render(facts)


@cache
def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    texts = translations(language)
    environment.install_gettext_callables(  # type: ignore[attr-defined] # added by the extension
        texts.gettext, texts.ngettext, newstyle=True, pgettext=texts.pgettext
    )
    environment.globals |= {
        "static_url": static_url,
        "languages": LANGUAGES,
        "themes": THEMES,
        "version": __version__,
    }
    environment.globals["m"] = environment.get_template("macros.html").module
    return environment


def _csrf(request: AnyRequest, actor: Actor | None) -> str | None:
    if actor is None or actor.session is None:
        return None
    return page_keys_of(request).csrf.token_for(actor.session)


def _with_language(request: AnyRequest, chosen: Language) -> Response[str]:
    answer = _redirect(local(_address(request)))
    keep_choice(request, answer, LANGUAGE_COOKIE, chosen)
    return answer


def _redirect(address: str) -> Response[str]:
    headers = {"Location": address, "Cache-Control": "no-store"}
    return Response("", status_code=303, headers=headers, media_type=MediaType.TEXT)


def _address(request: AnyRequest) -> str:
    """Return the request's path and query without `lang`."""
    query = parse_qsl(request.url.query, keep_blank_values=True)
    return with_query(request.url.path, [pair for pair in query if pair[0] != "lang"])


def cookie(
    request: AnyRequest,
    name: str,
    value: str,
    *,
    path: str = ADMIN_PATH,
    seconds: int | None = None,
) -> Cookie:
    """Return a SameSite cookie, for the browser's session or for `seconds`."""
    return Cookie(
        key=name,
        value=value,
        path=path,
        max_age=seconds,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
