"""The job list's query parameters, with the names of the earlier application.

filterStatus   one of the four old statuses, failed_or_expired (without canceled jobs) or canceled
filterDelivery one of the eight exact statuses
searchQuery    exact id, phone, code, text or error
limit          jobs per page
before, after  a job id, for pages              page, cursor     for scripts
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import cast, get_args

import structlog
from sqlalchemy import Connection

from hudhud.core.clock import now_ms
from hudhud.core.errors import BadRequest
from hudhud.core.sentences import say
from hudhud.core.whole_numbers import whole_number
from hudhud.db.tables import storable
from hudhud.messages import code_searches, listing
from hudhud.messages.listing import LARGEST_PAGE, MOST_COUNTED, JobPage, Total
from hudhud.messages.page_cursor import PageCursor
from hudhud.messages.search import JobFilter, messages_with
from hudhud.messages.states import STATUSES, StatusFilter
from hudhud.web.admin.ui.actor import Actor
from hudhud.web.admin.ui.render_thread import in_render_thread
from hudhud.web.admin.ui.translate import codes_for, holds
from hudhud.web.admin.ui.view import Language
from hudhud.web.http.request import AnyRequest
from hudhud.web.state import AppState, state_of

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

LONGEST_SEARCH = 100
EVERYTHING = ("", "all")  # a form's values for "no filter"


@dataclass(frozen=True, slots=True)
class JobQuery:
    """A filter and a position in its list."""

    chosen: JobFilter
    limit: int
    before: int | None = None
    after: int | None = None
    page: int = 1

    @property
    def is_first(self) -> bool:
        """Whether the list begins with the newest job."""
        return self.before is None and self.after is None and self.page == 1


@dataclass(frozen=True, slots=True)
class JobList:
    """The answer to a query."""

    query: JobQuery
    page: JobPage
    total: Total


def parse_query(
    parameters: Mapping[str, str], *, language: Language = "en", usual_limit: int
) -> JobQuery:
    """Parse a request's parameters. Raises BadRequest naming the invalid one.

    A search for an error matches its code and its text in `language`.
    """
    search = _search(parameters.get("searchQuery", ""))
    query = JobQuery(
        chosen=JobFilter(
            status=cast(
                "StatusFilter | None", _word(parameters, "filterStatus", get_args(StatusFilter))
            ),
            delivery=_word(parameters, "filterDelivery", STATUSES),
            search=search,
            codes=codes_for(search, language) if search else (),
            reads=partial(holds, search=search, language=language) if search else None,
        ),
        limit=_number(parameters, "limit", LARGEST_PAGE) or usual_limit,
        before=_number(parameters, "before") or _number(parameters, "cursor"),
        after=_number(parameters, "after"),
        page=_number(parameters, "page") or 1,
    )
    if (query.page - 1) * query.limit >= MOST_COUNTED:
        raise BadRequest(say("query.too_deep", detail=f"{MOST_COUNTED:,}"))
    return query


async def read_jobs(request: AnyRequest, actor: Actor, query: JobQuery) -> JobList:
    """Find the jobs, without codes if the actor has searched for too many."""
    state = state_of(request)
    code = query.chosen.code
    if code is not None and not await asyncio.to_thread(_may_search, state, actor, code):
        query = replace(query, chosen=replace(query.chosen, searches_codes=False))
    return await in_render_thread(_find, state, query)


def _find(state: AppState, query: JobQuery) -> JobList:
    cursor = PageCursor(query.limit, query.before, query.after, (query.page - 1) * query.limit)
    with state.database.read() as connection:
        page, total = listing.page(connection, state.cipher, query.chosen, cursor, now=now_ms())
    return JobList(query, page, total)


def _may_search(state: AppState, actor: Actor, code: str) -> bool:
    """Return whether the actor may search for this code; count and audit a new search."""
    search = {"who": actor.name, "code": code}
    with state.database.read() as connection:
        known = code_searches.find(connection, state.cipher, **search, now=now_ms())
    if not known.is_new:
        return known.is_allowed
    with state.database.write() as connection:
        taken = code_searches.take(connection, state.cipher, **search, now=now_ms())
        if taken.is_new:
            _note_code_search(connection, state, actor, code, is_allowed=taken.is_allowed)
    return taken.is_allowed


def _note_code_search(
    connection: Connection, state: AppState, actor: Actor, code: str, *, is_allowed: bool
) -> None:
    if not is_allowed:
        log.warning("many searches for codes; further ones leave codes out", who=actor.name)
        detail = say("action.codes_left_out")
        actor.note(connection, "code_search", outcome="refused", detail=detail)
        return
    count = len(messages_with(connection, state.cipher, code))
    actor.note(connection, "code_search", detail=say("action.codes_found", count=count))


def _word(parameters: Mapping[str, str], name: str, words: tuple[str, ...]) -> str | None:
    value = parameters.get(name, "").strip().lower()
    if value in EVERYTHING:
        return None
    if value not in words:
        raise BadRequest(say("query.not_one_of", name=name, detail=", ".join(words)))
    return value


def _search(text: str) -> str:
    text = storable(text).strip()
    if len(text) > LONGEST_SEARCH:
        raise BadRequest(say("query.search_too_long", detail=LONGEST_SEARCH))
    return text


def _number(parameters: Mapping[str, str], name: str, most: int = 2**53) -> int | None:
    value = parameters.get(name, "").strip()
    if not value:
        return None
    number = whole_number(value, least=1, most=most)
    if number is None:
        raise BadRequest(say("query.not_a_number", name=name, most=most))
    return number
