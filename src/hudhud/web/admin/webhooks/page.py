"""/admin/webhooks: list, add, enable, rotate and remove endpoints."""

import asyncio
from collections.abc import Mapping
from typing import Any

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from sqlalchemy import Row

from hudhud.auth import api_keys, caller
from hudhud.core.clock import now_ms
from hudhud.core.errors import BadRequest, Conflict
from hudhud.core.sentences import Sentence, say
from hudhud.core.whole_numbers import whole_number
from hudhud.web.admin.login.guard import authenticate_changer, authenticate_reader, require_person
from hudhud.web.admin.ui.actor import Actor
from hudhud.web.admin.ui.forms import Form, form_of
from hudhud.web.admin.ui.notices import Notice
from hudhud.web.admin.ui.render import page, see_other
from hudhud.web.admin.ui.render_thread import in_render_thread
from hudhud.web.admin.ui.view import view_of
from hudhud.web.admin.webhooks.labels import WORDS, Endpoint, endpoint_of
from hudhud.web.http.request import AnyRequest
from hudhud.web.state import AppState, state_of
from hudhud.webhooks import delivery_log, endpoints
from hudhud.webhooks.address_policy import shown
from hudhud.webhooks.endpoints import Signed
from hudhud.webhooks.event_types import KINDS

WEBHOOKS_PAGE = "/admin/webhooks"
LATEST = 10
# An endpoint added by a key would remain after the key is revoked.
NOT_FOR_KEYS = say("webhook.not_for_keys")


@get(WEBHOOKS_PAGE, include_in_schema=False)
async def webhooks_page(request: AnyRequest) -> Response[str]:
    """List the endpoints and the latest deliveries."""
    actor = await authenticate_reader(request)
    return await _page(request, actor)


@post(WEBHOOKS_PAGE, include_in_schema=False, status_code=200)
async def add_webhook(request: AnyRequest) -> Response[str]:
    """Add an endpoint, whose secret only this response shows."""
    actor = await authenticate_changer(request)
    require_person(actor, NOT_FOR_KEYS)
    form = await form_of(request)
    try:
        added = await asyncio.to_thread(_add, state_of(request), actor, form)
    except BadRequest as error:
        return await _page(request, actor, status_code=400, problem=error.sentence, form=form)
    return await _page(request, actor, signed=added)


@post(f"{WEBHOOKS_PAGE}/rotate", include_in_schema=False, status_code=200)
async def rotate_webhook(request: AnyRequest) -> Response[str]:
    """Issue a new secret for an endpoint, which only this response shows.

    A second submission of the form is refused, so that the first secret stays valid.
    """
    actor = await authenticate_changer(request)
    require_person(actor, NOT_FOR_KEYS)
    endpoint = whole_number((await form_of(request)).one("endpoint"))
    try:
        rotated = await asyncio.to_thread(_rotate, state_of(request), actor, endpoint)
    except Conflict as error:
        return await _page(request, actor, status_code=409, refusal=error.sentence)
    if rotated is None:
        return _no_such_endpoint(request)
    return await _page(request, actor, signed=rotated, is_rotated=True)


@post(f"{WEBHOOKS_PAGE}/enable", include_in_schema=False)
async def enable_webhook(request: AnyRequest) -> Response[Any]:
    """Enable a disabled endpoint."""
    actor = await authenticate_changer(request)
    require_person(actor, NOT_FOR_KEYS)
    endpoint = whole_number((await form_of(request)).one("endpoint"))
    url = await asyncio.to_thread(_enable, state_of(request), actor, endpoint)
    if url is None:
        return _no_such_endpoint(request)
    text = view_of(request).gettext("Deliveries to %(url)s resume.")
    return see_other(request, WEBHOOKS_PAGE, Notice("ok", text % {"url": shown(url)}))


@get(f"{WEBHOOKS_PAGE}/{{endpoint:str}}/remove", include_in_schema=False)
async def confirm_removal(request: AnyRequest, endpoint: FromPath[str]) -> Response[str]:
    """Explain a removal and ask for confirmation."""
    actor = await authenticate_reader(request)
    found = await in_render_thread(read_endpoint, state_of(request), whole_number(endpoint))
    if found is None:
        raise NotFoundException
    return await in_render_thread(
        page, request, "webhook_remove.html", actor=actor, endpoint=found, **WORDS
    )


@post(f"{WEBHOOKS_PAGE}/remove", include_in_schema=False)
async def remove_webhook(request: AnyRequest) -> Response[Any]:
    """Remove an endpoint."""
    actor = await authenticate_changer(request)
    require_person(actor, NOT_FOR_KEYS)
    endpoint = whole_number((await form_of(request)).one("endpoint"))
    url = await asyncio.to_thread(_remove, state_of(request), actor, endpoint)
    if url is None:
        return _no_such_endpoint(request)
    text = view_of(request).gettext("%(url)s was removed.")
    return see_other(request, WEBHOOKS_PAGE, Notice("ok", text % {"url": shown(url)}))


def read_endpoint(state: AppState, number: int | None) -> Endpoint | None:
    """Read an endpoint with its key's name and counts, or None."""
    with state.database.read() as connection:
        row = None if number is None else endpoints.find(connection, number)
        return None if row is None else endpoint_of(connection, row)


def _no_such_endpoint(request: AnyRequest) -> Response[str]:
    text = view_of(request).gettext("There is no such endpoint, or nothing had to be changed.")
    return see_other(request, WEBHOOKS_PAGE, Notice("warn", text))


async def _page(
    request: AnyRequest,
    actor: Actor,
    *,
    status_code: int = 200,
    signed: Signed | None = None,
    is_rotated: bool = False,
    refusal: Sentence | None = None,
    problem: Sentence | None = None,
    form: Form | None = None,
) -> Response[str]:
    state = state_of(request)
    listed, latest, keys = await in_render_thread(_read, state)
    return await in_render_thread(
        page,
        request,
        "webhooks.html",
        actor=actor,
        status_code=status_code,
        endpoints=listed,
        latest=latest,
        urls={endpoint.row.id: shown(endpoint.row.url) for endpoint in listed},
        keys=keys,
        kinds=KINDS,
        signed=signed,
        is_rotated=is_rotated,
        refusal=refusal,
        problem=problem,
        typed_url="" if form is None else form.one("url"),
        typed_key="" if form is None else form.one("key"),
        typed_kinds=KINDS if form is None else form.all("kind"),
        **WORDS,
    )


def _read(state: AppState) -> tuple[list[Endpoint], list[Row[Any]], dict[str, str]]:
    with state.database.read() as connection:
        listed = [endpoint_of(connection, row) for row in endpoints.list_endpoints(connection)]
        latest = delivery_log.page(connection, limit=LATEST)
        keys = {
            key.owner: key.name for key in api_keys.list_keys(connection) if key.revoked_at is None
        }
    return listed, latest, {**keys, **_environment_key(state)}


def _environment_key(state: AppState) -> Mapping[str, str]:
    return {caller.ENVIRONMENT: "API_KEY"} if state.has_environment_key else {}


def _add(state: AppState, actor: Actor, form: Form) -> Signed:
    url, owner, kinds = form.one("url").strip(), form.one("key") or None, form.all("kind")
    if not kinds:
        raise BadRequest(say("webhook.no_events"))
    state.address_policy.check(url)
    with state.database.write() as connection:
        if owner not in (None, caller.ENVIRONMENT):
            owner = api_keys.owner_of(connection, str(owner), now=now_ms())
            if owner is None:
                raise BadRequest(say("key.unknown"))
        added = endpoints.add(
            connection, state.webhook_secrets, url=url, kinds=kinds, owner=owner, now=now_ms()
        )
        actor.note(connection, "webhook_added", subject=shown(url))
        state.database.notify(connection)
    return added


def _rotate(state: AppState, actor: Actor, endpoint: int | None) -> Signed | None:
    if endpoint is None:
        return None
    with state.database.write() as connection:
        rotated = endpoints.rotate(connection, state.webhook_secrets, endpoint, now=now_ms())
        if rotated is not None:
            actor.note(connection, "webhook_rotated", subject=shown(rotated.url))
    return rotated


def _enable(state: AppState, actor: Actor, endpoint: int | None) -> str | None:
    if endpoint is None:
        return None
    with state.database.write() as connection:
        url = endpoints.enable(connection, endpoint, now=now_ms())
        if url is not None:
            actor.note(connection, "webhook_enabled", subject=shown(url))
            state.database.notify(connection)
    return url


def _remove(state: AppState, actor: Actor, endpoint: int | None) -> str | None:
    if endpoint is None:
        return None
    with state.database.write() as connection:
        url = endpoints.remove(connection, endpoint)
        if url is not None:
            actor.note(connection, "webhook_removed", subject=shown(url))
    return url


webhook_routes = [
    webhooks_page,
    add_webhook,
    rotate_webhook,
    enable_webhook,
    confirm_removal,
    remove_webhook,
]
