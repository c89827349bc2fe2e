"""How long the web application lets what wait."""

from dataclasses import dataclass
from typing import cast

from hudhud.auth.login_attempts import LONGEST_DELAY_SECONDS
from hudhud.web.http.request import AnyRequest


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds. The defaults are for use; tests shorten what would keep them waiting."""

    warm: float = 1.0
    """What the first pages need is loaded when the first codes have been accepted."""
    beat: float = 5.0
    """A stream on which nothing happens says so often that its session is still good."""
    login_delay: float = LONGEST_DELAY_SECONDS
    """The answer of an account that somebody guesses at is held back for this long at most."""


def timing_of(request: AnyRequest) -> Timing:
    """Return the timing of the application that got the request."""
    return cast("Timing", request.app.state.timing)
