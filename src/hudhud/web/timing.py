"""Delays and intervals of the web application."""

from dataclasses import dataclass
from typing import cast

from hudhud.auth.login_attempts import LONGEST_DELAY_SECONDS
from hudhud.web.http.request import AnyRequest


@dataclass(frozen=True, slots=True)
class Timing:
    """Delays in seconds. The defaults are for production; tests use shorter ones."""

    warm: float = 1.0
    """Delay after the start before loading what pages need, so that the first codes go first."""
    beat: float = 5.0
    """How often a stream checks its session and, if the session is valid, sends a beat."""
    probe: float = 1.0
    """How long /readyz reports the result of its last write instead of writing again."""
    login_delay: float = LONGEST_DELAY_SECONDS
    """Longest delay of a login's answer after failed logins to the account."""


def timing_of(request: AnyRequest) -> Timing:
    """Return the timing of the request's application."""
    return cast("Timing", request.app.state.timing)
