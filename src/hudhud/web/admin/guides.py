"""GET /admin/docs: the guides of the folder `docs`, readable without the internet."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

import hudhud
from hudhud.web.admin.login.guard import authenticate_reader
from hudhud.web.admin.ui.actor import Actor
from hudhud.web.admin.ui.render import page, see_other
from hudhud.web.admin.ui.render_thread import in_render_thread
from hudhud.web.http.request import AnyRequest

DOCS_PAGE = "/admin/docs"
PACKAGE = Path(hudhud.__file__).parent
# Next to the package in an installed wheel, in the checkout otherwise.
FOLDERS = (PACKAGE / "docs", PACKAGE.parents[1] / "docs")
FIRST = "operations"
LISTED: Final = (
    FIRST, "settings", "api", "keys", "webhooks", "templates", "linked-channel", "architecture",
    "internals", "glossary",
)  # fmt: skip
DECISIONS = "decisions"  # a folder
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


class Guide(NamedTuple):
    """A guide's title and content."""

    title: str
    content: Markup


@get(DOCS_PAGE, include_in_schema=False)
async def first_guide(request: AnyRequest) -> Response[str]:
    """Redirect to the first guide."""
    await authenticate_reader(request)
    return see_other(request, f"{DOCS_PAGE}/{FIRST}")


@get(f"{DOCS_PAGE}/{{name:path}}", include_in_schema=False)
async def guide_page(request: AnyRequest, name: FromPath[PurePosixPath]) -> Response[str]:
    """Show a guide, with links to the others."""
    actor = await authenticate_reader(request)
    wanted = str(name).strip("/")
    if wanted not in _files() and wanted != DECISIONS:
        raise NotFoundException
    return await in_render_thread(_show, request, actor, wanted)


def _show(request: AnyRequest, actor: Actor, name: str) -> Response[str]:
    listed = [(each, _guide(each).title) for each in LISTED]
    return page(request, "guide.html", actor=actor, guide=_guide(name), name=name, guides=listed)


@cache
def _files() -> dict[str, Path]:
    """Return the guides by their path without `.md`."""
    folder = next(folder for folder in FOLDERS if folder.is_dir())
    found = folder.rglob("*.md")
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}


@cache
def _guide(name: str) -> Guide:
    text = _list_of_decisions() if name == DECISIONS else _text(name)
    title = TITLE.search(text)
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(text)
    _name_headings(tokens)
    for link in _links(tokens):
        link.attrSet("href", re.sub(r"\.md(#|$)", r"\1", str(link.attrGet("href"))))
    content = reader.renderer.render(tokens, reader.options, {})
    return Guide(name if title is None else title[1], Markup(content))  # noqa: S704 -- our own text


def _text(name: str) -> str:
    return _files()[name].read_text(encoding="utf-8")


def _list_of_decisions() -> str:
    names = sorted(name for name in _files() if name.startswith(f"{DECISIONS}/"))
    links = (f"- [{TITLE.findall(_text(name))[0]}]({DOCS_PAGE}/{name})" for name in names)
    return "\n".join(["# Decisions", "", *links])


def _name_headings(tokens: list[Token]) -> None:
    """Give each heading the id that links use, like GitHub."""
    for opening, text in pairwise(tokens):
        if opening.type == "heading_open":
            words = re.sub(r"[^\w\s-]", "", text.content.lower())
            opening.attrSet("id", re.sub(r"\s", "-", words))


def _links(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield from (child for child in token.children or () if child.type == "link_open")


guide_routes: list[ControllerRouterHandler] = [first_guide, guide_page]
