"""/admin/webhooks/{id}: an endpoint's deliveries, and their replay."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from sqlalchemy import Row

from hudhud.core.clock import HOUR_MS, now_ms
from hudhud.core.sentences import say
from hudhud.core.whole_numbers import whole_number
from hudhud.web.admin.login.guard import authenticate_changer, authenticate_reader
from hudhud.web.admin.ui.actor import Actor
from hudhud.web.admin.ui.forms import form_of
from hudhud.web.admin.ui.notices import Notice
from hudhud.web.admin.ui.render import page, see_other
from hudhud.web.admin.ui.render_thread import in_render_thread
from hudhud.web.admin.ui.view import view_of
from hudhud.web.admin.webhooks.labels import WORDS
from hudhud.web.admin.webhooks.page import WEBHOOKS_PAGE, read_endpoint
from hudhud.web.http.query import with_query
from hudhud.web.http.request import AnyRequest
from hudhud.web.state import AppState, state_of
from hudhud.webhooks import deliveries, delivery_log, delivery_states, endpoints
from hudhud.webhooks.address_policy import shown
from hudhud.webhooks.delivery_states import WebhookStatus

ROWS = 50
STATUSES: tuple[WebhookStatus, ...] = (
    delivery_states.FAILED,
    delivery_states.PENDING,
    delivery_states.DELIVERED,
)
SPANS_HOURS = (1, 24, 7 * 24, 30 * 24)
# Bounds how long one transaction holds the lock; a second request replays the rest.
MOST_REPLAYED = 500


@get(f"{WEBHOOKS_PAGE}/{{endpoint:str}}", include_in_schema=False)
async def deliveries_page(request: AnyRequest, endpoint: FromPath[str]) -> Response[str]:
    """Show the deliveries to an endpoint, newest first."""
    actor = await authenticate_reader(request)
    state = state_of(request)
    found = await in_render_thread(read_endpoint, state, whole_number(endpoint))
    if found is None:
        raise NotFoundException
    asked = request.query_params
    status = cast("WebhookStatus", asked["status"]) if asked.get("status") in STATUSES else None
    before = whole_number(asked.get("before", ""))
    rows = await in_render_thread(_read, state, found.row.id, status, before)
    older = rows[ROWS - 1].id if len(rows) > ROWS else None
    log = f"{WEBHOOKS_PAGE}/{found.row.id}"
    kept: Mapping[str, object] = {} if status is None else {"status": status}
    return await in_render_thread(
        page,
        request,
        "webhook_deliveries.html",
        actor=actor,
        endpoint=found,
        rows=rows[:ROWS],
        status=status,
        spans_hours=SPANS_HOURS,
        is_first=before is None,
        first=with_query(log, kept),
        older=None if older is None else with_query(log, {**kept, "before": older}),
        **WORDS,
    )


@post(f"{WEBHOOKS_PAGE}/replay", include_in_schema=False)
async def replay(request: AnyRequest) -> Response[Any]:
    """Replay one delivery."""
    actor = await authenticate_changer(request)
    form = await form_of(request)
    number = whole_number(form.one("delivery"))
    is_done, behind = await asyncio.to_thread(_replay, state_of(request), actor, number)
    gettext = view_of(request).gettext
    if not is_done:
        said = Notice("warn", gettext("There is no such delivery, or it is being sent."))
    elif behind is None:
        said = Notice("ok", gettext("The delivery will be sent again."))
    else:
        text = gettext("The delivery waits for delivery %(number)s and is sent after it.")
        said = Notice("info", text % {"number": behind})
    return see_other(request, form.one("back") or WEBHOOKS_PAGE, said)


@post(f"{WEBHOOKS_PAGE}/replay-failed", include_in_schema=False)
async def replay_failed(request: AnyRequest) -> Response[Any]:
    """Replay the deliveries that failed since a time."""
    actor = await authenticate_changer(request)
    form = await form_of(request)
    endpoint, hours = whole_number(form.one("endpoint")), whole_number(form.one("hours"))
    count = await asyncio.to_thread(_replay_failed, state_of(request), actor, endpoint, hours)
    view = view_of(request)
    text = view.ngettext(
        "%(num)d delivery will be sent again.", "%(num)d deliveries will be sent again.", count
    )
    said = text % {"num": count}
    if count == MOST_REPLAYED:
        more = view.gettext("There are more: repeat this.")
        said = f"{said} {more}"
    log = WEBHOOKS_PAGE if endpoint is None else f"{WEBHOOKS_PAGE}/{endpoint}"
    return see_other(request, log, Notice("ok" if count else "info", said))


def _read(
    state: AppState, endpoint: int, status: WebhookStatus | None, before: int | None
) -> list[Row[Any]]:
    with state.database.read() as connection:
        return delivery_log.page(
            connection, endpoint_id=endpoint, status=status, before=before, limit=ROWS + 1
        )


def _replay(state: AppState, actor: Actor, number: int | None) -> tuple[bool, int | None]:
    """Return whether it is replayed, and the delivery behind which it waits."""
    if number is None:
        return False, None
    with state.database.write() as connection:
        is_done = delivery_log.replay(connection, number, now=now_ms())
        if is_done:
            actor.note(connection, "webhook_replayed", subject=str(number))
            state.database.notify(connection)
        return is_done, delivery_log.behind(connection, number)


def _replay_failed(state: AppState, actor: Actor, endpoint: int | None, hours: int | None) -> int:
    now = now_ms()
    waiting: Sequence[int] = ()
    if endpoint is not None:
        with state.database.read() as connection:
            waiting = deliveries.find_retries(connection, endpoint, now=now)
    with state.database.write() as connection:
        found = None if endpoint is None else endpoints.find(connection, endpoint)
        if found is None or hours not in SPANS_HOURS:
            return 0
        count = delivery_log.replay_failed(
            connection,
            endpoint_id=found.id,
            since=now - hours * HOUR_MS,
            limit=MOST_REPLAYED,
            now=now,
        )
        detail = say("webhook.replayed", count=count)
        actor.note(connection, "webhook_replayed", subject=shown(found.url), detail=detail)
        deliveries.retry_now(connection, waiting[:MOST_REPLAYED], now=now)
        state.database.notify(connection)
    return count


delivery_routes = [deliveries_page, replay, replay_failed]
