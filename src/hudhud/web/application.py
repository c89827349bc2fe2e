"""Construct the web application from the settings and the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State

from hudhud.app import (
    build_acceptor,
    build_address_policy,
    build_admin_password,
    build_limits,
    build_link_starter,
    build_resender,
    build_starter,
    build_webhook_cipher,
)
from hudhud.auth import second_factor
from hudhud.auth.api_key_cache import ApiKeyCache
from hudhud.auth.known_browsers import KnownBrowsers
from hudhud.auth.wrong_keys import WrongKeys
from hudhud.core.crypto import Cipher
from hudhud.core.settings import Settings
from hudhud.db.engine import Database
from hudhud.db.group_commit import GroupCommit
from hudhud.db.write_probe import WriteProbe
from hudhud.messages.delivery_spans import PastTimes
from hudhud.verification.build import (
    build_code_cipher,
    build_countries,
    build_link_replies,
    build_templates,
    mean_gap_of,
    secret_of,
)
from hudhud.verification.check import CHECKED_AT_ONCE, CodeChecker
from hudhud.verification.trials import Trials
from hudhud.verification.waiting import EndWaiter
from hudhud.web.admin.login.access import Access
from hudhud.web.admin.login.password_slots import PasswordSlots
from hudhud.web.admin.login.proxy_watch import ProxyWatch
from hudhud.web.admin.login.session_use import SessionUse
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
from hudhud.web.state import AppState, OwnSender
from hudhud.web.timing import Timing

# Of requests to the API, as in the earlier application, and of forms; logins have less.
LARGEST_BODY = 100 * 1024


def build_web(settings: Settings, database: Database, timing: Timing | None = None) -> Litestar:
    """Build the web application for a migrated database."""
    timing = timing or Timing()
    cipher = build_code_cipher(settings)
    api_key_cache = ApiKeyCache(database, settings.api_key)
    templates = build_templates(settings)
    countries = build_countries(settings, database)
    starter = build_starter(settings, cipher, templates)
    acceptor = build_acceptor(settings, database, cipher, countries)
    limits = build_limits(settings)
    checker = CodeChecker(cipher, limits, settings.otp_max_attempts)
    acceptances = GroupCommit(database, acceptor.write)
    checks = GroupCommit(database, checker.write, CHECKED_AT_ONCE)
    sender = _own_sender_of(settings)
    feed = Feed(database, sender, build_render(sender))
    waiting = EndWaiter(database)

    state = AppState(
        database=database,
        write_probe=WriteProbe(database, timing.probe),
        cipher=cipher,
        api_key_cache=api_key_cache,
        wrong_keys=WrongKeys(is_behind_proxy=bool(settings.trusted_proxies)),
        starter=starter,
        acceptances=acceptances,
        checks=checks,
        trials=Trials(starter, acceptor, checker),
        resends=build_resender(settings, database, cipher, templates, countries),
        links=build_link_starter(settings, database, cipher, templates, countries),
        link_replies=build_link_replies(settings, database, cipher, templates, countries),
        waiting=waiting,
        address_policy=build_address_policy(settings),
        webhook_secrets=build_webhook_cipher(settings),
        limits=limits,
        past_times=PastTimes(),
        sender=sender,
        code_ttl_seconds=settings.otp_ttl_seconds,
        code_max_attempts=settings.otp_max_attempts,
        audit_kept_days=settings.retention_audit_days,
        has_environment_key=settings.api_key is not None,
    )

    @asynccontextmanager
    async def running(_app: Litestar) -> AsyncIterator[None]:
        api_key_cache.start()
        countries.start()
        acceptances.start()
        checks.start()
        feed.start()
        waiting.start()
        warming = in_render_thread_soon(warm, timing.warm)
        yield
        warming.cancel()
        waiting.stop()
        feed.stop()
        await checks.stop()
        await acceptances.stop()
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
                "access": _build_access(settings, database),
                "page_keys": build_page_keys(secret_of(settings), settings.session_secret_previous),
                "timing": timing,
                "feed": feed,
            }
        ),
    )


def _own_sender_of(settings: Settings) -> OwnSender:
    return OwnSender(
        settings.sender_name,
        settings.channel,
        pace_ms=(settings.worker_min_send_delay_ms, settings.worker_max_send_delay_ms),
        mean_gap=mean_gap_of(settings),
    )


def _build_access(settings: Settings, database: Database) -> Access:
    factors = Cipher(second_factor.PURPOSE, secret_of(settings), settings.session_secret_previous)
    return Access(
        password=build_admin_password(settings),
        password_slots=PasswordSlots(),
        known_browsers=KnownBrowsers(secret_of(settings), settings.session_secret_previous),
        second_factors=factors,
        proxies=ProxyWatch(database, settings.trusted_proxies),
        session_use=SessionUse(database),
    )
