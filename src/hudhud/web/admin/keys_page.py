"""/admin/keys: the API keys in use; one is made, shown once, and revoked."""

import asyncio
from typing import Any

from litestar import Response, get, post
from sqlalchemy import Row

from hudhud import api_keys
from hudhud.clock import now_ms
from hudhud.errors import BadRequest
from hudhud.web.admin.aside import aside
from hudhud.web.admin.forms import Form, form_of
from hudhud.web.admin.guard import NOT_FOR_KEYS, Actor, Forbidden, changer, reader
from hudhud.web.admin.notices import Notice
from hudhud.web.admin.pages import page, see_other
from hudhud.web.admin.view import view_of
from hudhud.web.parts import AnyRequest, Parts, parts_of

KEYS_PAGE = "/admin/keys"


@get(KEYS_PAGE, include_in_schema=False)
async def keys_page(request: AnyRequest) -> Response[str]:
    """List the keys in use."""
    actor = await reader(request)
    return await _page(request, actor)


@post(KEYS_PAGE, include_in_schema=False, status_code=200)
async def make_key(request: AnyRequest) -> Response[str]:
    """Make a key; this answer is the only place that ever shows it."""
    actor = await _person(request)
    form = await form_of(request)
    try:
        key = await asyncio.to_thread(_make, parts_of(request), actor, form)
    except BadRequest as error:
        return await _page(request, actor, status_code=400, problem=str(error), form=form)
    return await _page(request, actor, made=key, made_name=form.one("name").strip())


@post(f"{KEYS_PAGE}/revoke", include_in_schema=False)
async def revoke_key(request: AnyRequest) -> Response[Any]:
    """Revoke a key by its prefix."""
    actor = await _person(request)
    form = await form_of(request)
    name = await asyncio.to_thread(_revoke, parts_of(request), actor, form.one("prefix"))
    view = view_of(request)
    if name is None:
        return see_other(request, KEYS_PAGE, Notice("warn", view.gettext("There is no such key.")))
    text = view.gettext("Key %(name)s is revoked. It stops working within two seconds.")
    return see_other(request, KEYS_PAGE, Notice("ok", text % {"name": name}))


async def _person(request: AnyRequest) -> Actor:
    """Return who asks for a change: a key makes no other, which would outlive it."""
    actor = await changer(request)
    if actor.session is None:
        raise Forbidden(NOT_FOR_KEYS)
    return actor


async def _page(
    request: AnyRequest,
    actor: Actor,
    *,
    status_code: int = 200,
    made: str | None = None,
    made_name: str = "",
    problem: str | None = None,
    form: Form | None = None,
) -> Response[str]:
    parts = parts_of(request)
    keys = await aside(_in_use, parts)
    return await aside(
        page,
        request,
        "keys.html",
        actor=actor,
        status_code=status_code,
        keys=keys,
        has_environment_key=parts.settings.api_key is not None,
        made=made,
        made_name=made_name,
        problem=problem,
        typed_name="" if form is None else form.one("name"),
        typed_scopes=("send",) if form is None else form.all("scope"),
    )


def _in_use(parts: Parts) -> list[Row[Any]]:
    with parts.database.read() as connection:
        return [key for key in api_keys.list_keys(connection) if key.revoked_at is None]


def _make(parts: Parts, actor: Actor, form: Form) -> str:
    name, scopes = form.one("name").strip(), form.all("scope")
    with parts.database.write() as connection:
        parts.database.lock_for_keys(connection)
        key = api_keys.create(connection, name, scopes, now=now_ms())
        scopes_made = f"Scopes: {', '.join(scopes)}."
        actor.note(connection, "key_made", subject=name, detail=scopes_made)
    return key


def _revoke(parts: Parts, actor: Actor, prefix: str) -> str | None:
    with parts.database.write() as connection:
        name = api_keys.revoke_secret(connection, prefix, now=now_ms())
        if name is not None:
            actor.note(connection, "key_revoked", subject=name)
    return name


key_routes = [keys_page, make_key, revoke_key]
