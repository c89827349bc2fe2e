"""The input and the result of a check."""

from dataclasses import dataclass
from typing import Literal

from hudhud.cli.running_service import RunningService
from hudhud.core.settings import Settings
from hudhud.db.engine import Database

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Installation:
    """The checked installation; `problem` is why a database cannot be opened.

    `settings` are those of the running service, if there is one, else those of this shell.
    """

    settings: Settings
    database: Database | None
    problem: "Finding | None"
    service: RunningService | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check: outcome, sentence and remedy."""

    outcome: Level
    sentence: str
    remedy: str | None = None


def ok(sentence: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding("ok", sentence)


def warn(sentence: str, remedy: str) -> Finding:
    """Return a finding that needs attention although Hudhud works."""
    return Finding("warn", sentence, remedy)


def fail(sentence: str, remedy: str) -> Finding:
    """Return a finding that keeps Hudhud from working, or from working safely."""
    return Finding("fail", sentence, remedy)
