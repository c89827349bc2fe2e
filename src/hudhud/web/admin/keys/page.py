"""/admin/keys: list, create, rotate and revoke API keys."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from litestar import Response, get, post
from sqlalchemy import Row

from hudhud.auth import api_keys
from hudhud.auth.api_key_settings import SCOPES, WrongSetting
from hudhud.auth.caller import ENVIRONMENT_SCOPES
from hudhud.core.clock import now_ms
from hudhud.core.errors import BadRequest
from hudhud.core.rates import KINDS, UNIT_MS, write_rates
from hudhud.core.sentences import say
from hudhud.db.locks import Lock, lock
from hudhud.web.admin.keys.form import LONGEST_DAYS, KeyForm, typed_in
from hudhud.web.admin.keys.labels import kind_words, overlap_words, scope_words, time_left
from hudhud.web.admin.login.guard import authenticate_changer, authenticate_reader, require_person
from hudhud.web.admin.ui.actor import Actor
from hudhud.web.admin.ui.forms import form_of
from hudhud.web.admin.ui.notices import Notice
from hudhud.web.admin.ui.render import page, see_other
from hudhud.web.admin.ui.render_thread import in_render_thread
from hudhud.web.admin.ui.view import view_of
from hudhud.web.http.request import AnyRequest
from hudhud.web.state import AppState, state_of

KEYS_PAGE = "/admin/keys"
# A key created by another key would remain after that one is revoked.
NOT_FOR_KEYS = say("key.not_for_keys")
# How many ended secrets the page lists.
MOST_ENDED = 20
# How long before an expiry the page points it out.
SOON_MS = 7 * UNIT_MS["d"]
OVERLAPS: Final[Mapping[str, int]] = {
    "0": 0,
    "1h": UNIT_MS["h"],
    "24h": api_keys.OVERLAP_MS,
    "7d": 7 * UNIT_MS["d"],
    "30d": api_keys.LONGEST_OVERLAP_MS,
}
USUAL_OVERLAP = "24h"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A secret to show once; `earlier_end_at` is the end of the earlier ones."""

    name: str
    key: str = field(repr=False)
    earlier_end_at: int | None = None


@dataclass(frozen=True, slots=True)
class Secrets:
    """The listed secrets: those of a key together, newest first."""

    in_use: list[Row[Any]]
    newest: frozenset[str]  # prefixes
    ended: list[Row[Any]]
    environment_used_at: int | None


@get(KEYS_PAGE, include_in_schema=False)
async def keys_page(request: AnyRequest) -> Response[str]:
    """List the keys."""
    actor = await authenticate_reader(request)
    return await _page(request, actor)


@post(KEYS_PAGE, include_in_schema=False, status_code=200)
async def make_key(request: AnyRequest) -> Response[str]:
    """Create a key, which only this response shows."""
    actor = await authenticate_changer(request)
    require_person(actor, NOT_FOR_KEYS)
    typed = typed_in(await form_of(request))
    try:
        made = await asyncio.to_thread(_make, state_of(request), actor, typed)
    except WrongSetting as error:
        return await _page(request, actor, status_code=400, problem=error, typed=typed)
    return await _page(request, actor, shown=made)


@post(f"{KEYS_PAGE}/rotate", include_in_schema=False, status_code=200)
async def rotate_key(request: AnyRequest) -> Response[str]:
    """Issue a new secret for a key, which only this response shows."""
    actor = await authenticate_changer(request)
    require_person(actor, NOT_FOR_KEYS)
    form = await form_of(request)
    overlap_ms = OVERLAPS.get(form.one("overlap") or USUAL_OVERLAP)
    if overlap_ms is None:
        raise BadRequest(say("key.overlap_too_long"))
    rotated = await asyncio.to_thread(
        _rotate, state_of(request), actor, form.one("owner"), overlap_ms
    )
    if rotated is None:
        return _no_such_key(request)
    return await _page(request, actor, shown=rotated)


@post(f"{KEYS_PAGE}/revoke", include_in_schema=False)
async def revoke_key(request: AnyRequest) -> Response[Any]:
    """Revoke all secrets of a key."""
    return await _revoke(request, api_keys.revoke_owner, "owner")


@post(f"{KEYS_PAGE}/revoke-secret", include_in_schema=False)
async def revoke_secret(request: AnyRequest) -> Response[Any]:
    """Revoke one earlier secret of a rotated key, by its prefix."""
    return await _revoke(request, api_keys.revoke_secret, "prefix")


async def _page(
    request: AnyRequest,
    actor: Actor,
    *,
    status_code: int = 200,
    shown: NewKey | None = None,
    problem: WrongSetting | None = None,
    typed: KeyForm | None = None,
) -> Response[str]:
    state = state_of(request)
    secrets = await in_render_thread(_read, state)
    return await in_render_thread(
        page,
        request,
        "keys.html",
        actor=actor,
        status_code=status_code,
        secrets=secrets,
        has_environment_key=state.has_environment_key,
        environment_scopes=[scope for scope in SCOPES if scope in ENVIRONMENT_SCOPES],
        shown=shown,
        problem=None if problem is None else problem.sentence,
        wrong=None if problem is None else problem.setting,
        typed=typed or KeyForm(),
        usual_limits={kind: write_rates(state.limits.usual(kind)) for kind in KINDS},
        longest_days=LONGEST_DAYS,
        soon_ms=SOON_MS,
        usual_overlap=USUAL_OVERLAP,
        kind_words=kind_words,
        overlap_words=overlap_words,
        scope_words=scope_words,
        time_left=time_left,
        is_test_prefix=api_keys.is_test_prefix,
    )


def _read(state: AppState) -> Secrets:
    now = now_ms()
    with state.database.read() as connection:
        found = api_keys.list_keys(connection)
        used_at = api_keys.environment_used_at(connection)
    of_owner: dict[str, list[Row[Any]]] = {}
    for key in found:
        if api_keys.still_works(key, now):
            of_owner.setdefault(key.owner, []).insert(0, key)
    in_use = [key for secrets in of_owner.values() for key in secrets]
    newest = frozenset(secrets[0].prefix for secrets in of_owner.values())
    ended = [key for key in reversed(found) if not api_keys.still_works(key, now)]
    return Secrets(in_use, newest, ended[:MOST_ENDED], used_at)


def _make(state: AppState, actor: Actor, typed: KeyForm) -> NewKey:
    now = now_ms()
    limits, expires_at = typed.own_limits(), typed.expires_at(now)
    code_length = typed.code_length()
    with state.database.write() as connection:
        lock(connection, Lock.API_KEYS)
        key = api_keys.create(
            connection,
            typed.name,
            typed.scopes,
            is_test=typed.is_test,
            hides_code=False if typed.shows_code else None,
            may_link_verify=typed.may_link_verify,
            limits=limits,
            networks=typed.network_list(),
            code_length=code_length,
            expires_at=expires_at,
            now=now,
        )
        made = api_keys.stored(connection, key)
        detail = say("key.scopes", detail=api_keys.described(made))
        actor.note(connection, "key_made", subject=made.name, detail=detail)
    return NewKey(made.name, key)


def _rotate(state: AppState, actor: Actor, owner: str, overlap_ms: int) -> NewKey | None:
    with state.database.write() as connection:
        lock(connection, Lock.API_KEYS)
        new = api_keys.rotate(connection, owner, overlap_ms=overlap_ms, now=now_ms())
        if new is None:
            return None
        actor.note(connection, "key_rotated", subject=new.name, detail=new.sentence)
    return NewKey(new.name, new.key, new.earlier_end_at)


async def _revoke(
    request: AnyRequest, end: Callable[..., str | None], field_name: str
) -> Response[Any]:
    actor = await authenticate_changer(request)
    require_person(actor, NOT_FOR_KEYS)
    which = (await form_of(request)).one(field_name)
    database = state_of(request).database

    def change() -> str | None:
        with database.write() as connection:
            name = end(connection, which, now=now_ms())
            if name is not None:
                actor.note(connection, "key_revoked", subject=name)
        return name

    name = await asyncio.to_thread(change)
    if name is None:
        return _no_such_key(request)
    text = view_of(request).gettext("Key %(name)s is revoked. It stops working within two seconds.")
    return see_other(request, KEYS_PAGE, Notice("ok", text % {"name": name}))


def _no_such_key(request: AnyRequest) -> Response[Any]:
    return see_other(
        request, KEYS_PAGE, Notice("warn", view_of(request).gettext("There is no such key."))
    )


key_routes = [keys_page, make_key, rotate_key, revoke_key, revoke_secret]
