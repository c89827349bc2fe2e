"""Construct the web application out of the settings and the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State

from hudhud.api_keys import KeyRing
from hudhud.app import build_sealer, build_starter
from hudhud.db.engine import Database
from hudhud.db.group_commit import GroupCommit
from hudhud.settings import Settings
from hudhud.web import api, errors, health, sandbox
from hudhud.web.admin.access import build_access
from hudhud.web.admin.aside import aside_soon
from hudhud.web.admin.code_searches import CodeSearches
from hudhud.web.admin.feed import Feed
from hudhud.web.admin.pages import warm
from hudhud.web.admin.routes import ADMIN_HANDLERS, admin_routes
from hudhud.web.admin.status_parts import build_render
from hudhud.web.docs_page import docs_routes
from hudhud.web.drop_in import DropIn
from hudhud.web.openapi import openapi_config
from hudhud.web.parts import Parts

LARGEST_BODY = 1024 * 1024
# What the first pages need is loaded when the first codes have been accepted.
WARM_SECONDS = 1.0


def build_web(settings: Settings, database: Database) -> Litestar:
    """Build the web application over a migrated database."""
    sealer = build_sealer(settings)
    key_ring = KeyRing(database, settings.api_key)
    starter = build_starter(settings, database)
    commits = GroupCommit(database, starter.write)
    access = build_access(settings, database)
    feed = Feed(database, settings, build_render(settings))

    parts = Parts(
        database, sealer, key_ring, starter, commits, access, settings, feed, CodeSearches(sealer)
    )

    @asynccontextmanager
    async def running(_app: Litestar) -> AsyncIterator[None]:
        key_ring.start()
        commits.start()
        feed.start()
        warming = aside_soon(warm, WARM_SECONDS)
        yield
        warming.cancel()
        feed.stop()
        commits.stop()
        key_ring.stop()

    routes = [
        api.send,
        api.job,
        health.welcome,
        health.healthz,
        health.readyz,
        *docs_routes,
        *admin_routes,
    ]
    if settings.channel == "sandbox":
        routes.append(sandbox.sandbox_messages)
    return DropIn(
        routes,
        exception_handlers={**errors.HANDLERS, **ADMIN_HANDLERS},
        lifespan=[running],
        logging_config=None,
        openapi_config=openapi_config(),
        request_max_body_size=LARGEST_BODY,
        state=State({"parts": parts}),
    )
