"""Construct the web application out of the settings and the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State

from hudhud.app import build_address_policy, build_starter, build_templates, build_webhook_cipher
from hudhud.auth.api_key_cache import ApiKeyCache
from hudhud.core.secret import build_code_cipher
from hudhud.core.settings import Settings
from hudhud.db.engine import Database
from hudhud.db.group_commit import GroupCommit
from hudhud.verification.check import CodeChecker
from hudhud.verification.limits.countries import CountryPolicy
from hudhud.verification.links.inbound import LinkReplies
from hudhud.verification.links.start import LinkStarter
from hudhud.verification.resend import Resender
from hudhud.verification.waiting import EndWaiter
from hudhud.web.admin.jobs.code_searches import CodeSearches
from hudhud.web.admin.login.access import build_access
from hudhud.web.admin.routes import ADMIN_HANDLERS, admin_routes
from hudhud.web.admin.status.feed import Feed
from hudhud.web.admin.status.parts import build_render
from hudhud.web.admin.ui.page_keys import build_page_keys
from hudhud.web.admin.ui.render import warm
from hudhud.web.admin.ui.render_thread import in_render_thread_soon
from hudhud.web.api import health, links, sandbox, send, verifications, verify
from hudhud.web.api.docs_page import docs_routes
from hudhud.web.api.openapi import openapi_config
from hudhud.web.http import errors
from hudhud.web.http.middleware import DropIn
from hudhud.web.state import AppState
from hudhud.web.timing import Timing

LARGEST_BODY = 1024 * 1024


def build_web(settings: Settings, database: Database, timing: Timing | None = None) -> Litestar:
    """Build the web application over a migrated database."""
    timing = timing or Timing()
    cipher = build_code_cipher(settings)
    api_key_cache = ApiKeyCache(database, settings.api_key)
    templates = build_templates(settings)
    countries = CountryPolicy(settings, database)
    starter = build_starter(settings, database, templates, countries)
    commits = GroupCommit(database, starter.write)
    checks = GroupCommit(database, CodeChecker(cipher, settings.otp_max_attempts).write)
    access = build_access(settings, database)
    feed = Feed(database, settings, build_render(settings))
    waiting = EndWaiter(database)

    state = AppState(
        database=database,
        cipher=cipher,
        api_key_cache=api_key_cache,
        starter=starter,
        commits=commits,
        checks=checks,
        resends=Resender(settings, database, templates, countries),
        links=LinkStarter(settings, database, cipher, templates, countries),
        link_replies=LinkReplies(settings, database, cipher, templates, countries),
        waiting=waiting,
        address_policy=build_address_policy(settings),
        webhook_secrets=build_webhook_cipher(settings),
        settings=settings,
    )

    @asynccontextmanager
    async def running(_app: Litestar) -> AsyncIterator[None]:
        api_key_cache.start()
        countries.start()
        commits.start()
        checks.start()
        feed.start()
        waiting.start()
        warming = in_render_thread_soon(warm, timing.warm)
        yield
        warming.cancel()
        waiting.stop()
        feed.stop()
        checks.stop()
        commits.stop()
        countries.stop()
        api_key_cache.stop()

    routes = [
        send.send,
        verify.verify,
        links.start,
        links.qr,
        verifications.show,
        verifications.list_all,
        verifications.cancel,
        verifications.resend,
        health.welcome,
        health.healthz,
        health.readyz,
        sandbox.sandbox_messages,
        sandbox.inbound,
        *docs_routes,
        *admin_routes,
    ]
    return DropIn(
        routes,
        exception_handlers={**errors.HANDLERS, **ADMIN_HANDLERS},
        lifespan=[running],
        logging_config=None,
        openapi_config=openapi_config(),
        request_max_body_size=LARGEST_BODY,
        state=State(
            {
                "app_state": state,
                "access": access,
                "page_keys": build_page_keys(settings),
                "timing": timing,
                "feed": feed,
                "code_searches": CodeSearches(cipher),
            }
        ),
    )
