"""GET /admin/audit: who did what, newest first."""

from typing import Any, cast

from litestar import Response, get
from sqlalchemy import Row

from hudhud.auth import audit_log
from hudhud.auth.audit_log import GROUPS, Group
from hudhud.core.clock import DAY_MS
from hudhud.core.whole_numbers import whole_number
from hudhud.web.admin.audit.labels import group_words, outcome_look, words_of
from hudhud.web.admin.login.guard import authenticate_reader
from hudhud.web.admin.ui.actor import actor_name
from hudhud.web.admin.ui.render import page
from hudhud.web.admin.ui.render_thread import in_render_thread
from hudhud.web.http.query import with_query
from hudhud.web.http.request import AnyRequest
from hudhud.web.state import AppState, state_of

ROWS = 50
LONGEST_SEARCH = 100
AUDIT_PAGE = "/admin/audit"


@get(AUDIT_PAGE, include_in_schema=False)
async def audit_page(request: AnyRequest) -> Response[str]:
    """Show the audit, filtered by group and text."""
    actor = await authenticate_reader(request)
    asked = request.query_params
    group = cast("Group", asked["what"]) if asked.get("what") in GROUPS else None
    text = asked.get("q", "").replace("\0", "").strip()[:LONGEST_SEARCH]
    before = whole_number(asked.get("before", ""))
    rows = await in_render_thread(_read, state_of(request), group, text, before)
    older = rows[ROWS - 1].id if len(rows) > ROWS else None
    kept = {name: value for name, value in (("what", group), ("q", text)) if value}
    return await in_render_thread(
        page,
        request,
        "audit.html",
        actor=actor,
        rows=rows[:ROWS],
        group=group,
        text=text,
        is_first=before is None,
        first=with_query(AUDIT_PAGE, kept),
        kept_ms=state_of(request).audit_kept_days * DAY_MS,
        older=None if older is None else with_query(AUDIT_PAGE, {**kept, "before": older}),
        outcome_look=outcome_look,
        group_words=group_words,
        words_of=words_of,
        actor_name=actor_name,
    )


def _read(state: AppState, group: Group | None, text: str, before: int | None) -> list[Row[Any]]:
    with state.database.read() as connection:
        return audit_log.page(
            connection, what=group, text=text or None, before=before, limit=ROWS + 1
        )
