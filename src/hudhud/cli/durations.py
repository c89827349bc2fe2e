"""Durations as options take them: a number and a unit, like `24h`."""

from dataclasses import dataclass

from hudhud.core.clock import SECOND_MS
from hudhud.core.errors import BadRequest
from hudhud.core.rates import parse_span, span

METAVAR = "DURATION"


@dataclass(frozen=True, slots=True)
class Duration:
    """The value of an option, in milliseconds."""

    milliseconds: int

    @property
    def seconds(self) -> int:
        """The whole seconds."""
        return self.milliseconds // SECOND_MS

    def __str__(self) -> str:
        return span(self.milliseconds) if self.milliseconds else "0s"


def duration(given: "str | Duration") -> Duration:
    """Parse an option; its default is a Duration already. Raises BadRequest."""
    if isinstance(given, Duration):
        return given
    milliseconds = parse_span(given)
    if milliseconds is None:
        raise BadRequest(
            f"{given!r} is not a duration. Write a number and a unit, like 90d, 24h, 30m or 0s."
        )
    return Duration(milliseconds)
