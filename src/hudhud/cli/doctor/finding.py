"""What a check gets and what it gives."""

from dataclasses import dataclass
from typing import Literal

from hudhud.core.settings import Settings
from hudhud.db.engine import Database

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Installation:
    """What is examined; without a database `problem` says why, or there is none yet."""

    settings: Settings
    database: Database | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, in a sentence, and how to mend it."""

    outcome: Level
    sentence: str
    remedy: str | None = None


def ok(sentence: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", sentence)


def warn(sentence: str, remedy: str) -> Finding:
    """Hudhud works, but somebody should look at it."""
    return Finding("warn", sentence, remedy)


def fail(sentence: str, remedy: str) -> Finding:
    """Hudhud cannot work so, or not safely."""
    return Finding("fail", sentence, remedy)
