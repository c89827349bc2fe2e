"""GET /admin/status: the main page, and its parts for links and forms."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import structlog
from litestar import Response, get
from sqlalchemy.exc import SQLAlchemyError

from hudhud.core.clock import now_ms
from hudhud.core.database_lost import log_unusable
from hudhud.db.engine import may_pass
from hudhud.messages import statistics
from hudhud.messages.listing import MOST_COUNTED
from hudhud.messages.statistics import RANGES, Range
from hudhud.verification import job_actions
from hudhud.web.admin.jobs.query import JobQuery, parse_query, read_jobs
from hudhud.web.admin.login.guard import authenticate_reader
from hudhud.web.admin.status.charts import chart_data, period
from hudhud.web.admin.status.feed import read_snapshot
from hudhud.web.admin.status.parts import WORDS, context
from hudhud.web.admin.ui.actor import Actor
from hudhud.web.admin.ui.render import STATUS_PAGE, page, see_other
from hudhud.web.admin.ui.render_thread import in_render_thread
from hudhud.web.admin.ui.view import view_of
from hudhud.web.http.query import with_query
from hudhud.web.http.request import AnyRequest, is_htmx
from hudhud.web.state import AppState, state_of

log = structlog.get_logger(__name__)

ROWS = 25
# The templates of the parts that the script requests whole: after a form, and of the page.
_TEMPLATES: dict[str | None, str] = {
    "div#notices": "partials/outcome.html",
    "div#status": "partials/status_content.html",
}
# The query parameters that the page's links keep.
PARAMETERS = frozenset(
    {"filterStatus", "filterDelivery", "searchQuery", "limit", "before", "after", "range", "pair"}
)


@get("/admin", include_in_schema=False)
async def front_door(request: AnyRequest) -> Response[str]:
    """Redirect to the status page."""
    await authenticate_reader(request)
    return see_other(request, STATUS_PAGE)


@get(STATUS_PAGE, include_in_schema=False)
async def status_page(request: AnyRequest) -> Response[str]:
    """Show the page, or the parts that its script requests."""
    actor = await authenticate_reader(request)
    language = view_of(request).language
    query = parse_query(request.query_params, language=language, usual_limit=ROWS)
    wanted = request.headers.get("hx-target") if is_htmx(request) else None
    if wanted == "section#jobs":
        shown = await _jobs(request, actor, query)
        return await _page(request, actor, "partials/jobs.html", shown)
    if wanted == "section#traffic":
        shown = await in_render_thread(_traffic, request)
        return await _page(request, actor, "partials/traffic.html", shown)
    shown = await in_render_thread(_facts, request)
    shown |= await in_render_thread(_traffic, request)
    shown |= await _jobs(request, actor, query)
    return await _page(request, actor, _TEMPLATES.get(wanted, "status.html"), shown)


async def _page(
    request: AnyRequest, actor: Actor, template: str, shown: Mapping[str, Any]
) -> Response[str]:
    everything = {"link": _links(request), **shown}
    return await in_render_thread(
        lambda: page(request, template, actor=actor, **everything)  # 200 rows take a while
    )


def _facts(request: AnyRequest) -> dict[str, Any]:
    state = state_of(request)
    shown = {"origin": str(request.base_url).rstrip("/")}
    pair = "phone" if request.query_params.get("pair") == "phone" else "qr"
    try:
        snapshot = read_snapshot(state.database, state.sender)
    except SQLAlchemyError as error:
        _raise_defect(error)
        return {**shown, **WORDS, "numbers": None, "cards": [], "layout": ""}
    return shown | context(snapshot, state.sender, pair=pair)


def _traffic(request: AnyRequest) -> dict[str, Any]:
    state = state_of(request)
    chosen = cast("Range", _one_of(request.query_params.get("range"), RANGES, "day"))
    try:
        with state.database.read() as connection:
            zone = view_of(request).zone
            series = statistics.series(
                connection, state.past_times, chosen=chosen, zone=zone, now=now_ms()
            )
    except SQLAlchemyError as error:
        _raise_defect(error)
        return {"range": chosen, "series": None}
    return {"range": chosen, "series": series, "chart_data": chart_data, "period": period}


async def _jobs(request: AnyRequest, actor: Actor, query: JobQuery) -> dict[str, Any]:
    state = state_of(request)
    facts = {"chosen": query.chosen, "limit": query.limit, "most_counted": MOST_COUNTED}
    shown = {**WORDS, **facts}
    try:
        found = await read_jobs(request, actor, query)
        retryable = await in_render_thread(_count_retryable, state)
    except SQLAlchemyError as error:
        _raise_defect(error)
        return {**shown, "found": None, "retryable": 0}
    return {**shown, "found": found, "retryable": retryable}


def _count_retryable(state: AppState) -> int:
    with state.database.read() as connection:
        return job_actions.count_retryable(connection, now=now_ms())


def _links(request: AnyRequest) -> Callable[..., str]:
    """Return a function that changes parameters of the request's URL."""

    def link(**changes: object) -> str:
        kept = {name: value for name, value in request.query_params.items() if name in PARAMETERS}
        merged = {**kept, **changes}
        query = {name: value for name, value in merged.items() if value not in (None, "")}
        return with_query(STATUS_PAGE, query)

    return link


def _one_of(value: str | None, words: Sequence[str], usual: str) -> str:
    return value if value is not None and value in words else usual


def _raise_defect(error: SQLAlchemyError) -> None:
    """Re-raise a defect; the page itself reports a temporary error."""
    if not may_pass(error):
        raise error
    log_unusable(log.warning, "the dashboard cannot read the database", error)


status_routes = [front_door, status_page]
