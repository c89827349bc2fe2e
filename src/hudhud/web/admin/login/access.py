"""The parts that decide who may enter the dashboard."""

from dataclasses import dataclass
from typing import cast

from hudhud.auth import second_factor
from hudhud.auth.admin_password import AdminPassword
from hudhud.core.crypto import Cipher
from hudhud.core.secret import load_secret
from hudhud.core.settings import Settings
from hudhud.db.engine import Database
from hudhud.web.admin.login.password_slots import PasswordSlots
from hudhud.web.admin.login.proxy_watch import ProxyWatch
from hudhud.web.admin.login.session_use import SessionUse
from hudhud.web.http.request import AnyRequest


@dataclass(frozen=True, slots=True)
class Access:
    """What judges passwords, second factors and forwarded addresses, and notes used sessions."""

    password: AdminPassword
    password_slots: PasswordSlots
    second_factors: Cipher
    proxies: ProxyWatch
    session_use: SessionUse


def build_access(settings: Settings, database: Database) -> Access:
    """Build them. Raises StartRefused without a secret."""
    secret = load_secret(settings)
    return Access(
        password=AdminPassword(settings, secret),
        password_slots=PasswordSlots(),
        second_factors=Cipher(second_factor.PURPOSE, secret, settings.session_secret_previous),
        proxies=ProxyWatch(database, settings.trusted_proxies),
        session_use=SessionUse(database),
    )


def access_of(request: AnyRequest) -> Access:
    """Return the access of the application that got the request."""
    return cast("Access", request.app.state.access)
