"""The objects that control access to the dashboard."""

from dataclasses import dataclass
from typing import cast

from hudhud.auth.admin_password import AdminPassword
from hudhud.auth.known_browsers import KnownBrowsers
from hudhud.core.crypto import Cipher
from hudhud.web.admin.login.password_slots import PasswordSlots
from hudhud.web.admin.login.proxy_watch import ProxyWatch
from hudhud.web.admin.login.session_use import SessionUse
from hudhud.web.http.request import AnyRequest


@dataclass(frozen=True, slots=True)
class Access:
    """Checks of passwords, browsers, second factors and proxies; records of session use."""

    password: AdminPassword
    password_slots: PasswordSlots
    known_browsers: KnownBrowsers
    second_factors: Cipher
    proxies: ProxyWatch
    session_use: SessionUse


def access_of(request: AnyRequest) -> Access:
    """Return the access control of the request's application."""
    return cast("Access", request.app.state.access)
