"""Senders and numbers as the dashboard receives them, with typical defaults."""

from typing import Any
from zoneinfo import ZoneInfo

from hudhud.messages.counters import HAPPENINGS, Happening
from hudhud.messages.states import STATUSES
from hudhud.messages.statistics import Period, QueueNumbers
from hudhud.senders import records
from hudhud.senders.overview import SenderCard
from hudhud.web.admin.ui.format import Format
from hudhud.web.admin.ui.view import Language, View
from support.queued import NOW

CAIRO = ZoneInfo("Africa/Cairo")


def view(language: Language = "en") -> View:
    """Return the view of a reader in Cairo."""
    return View(language, CAIRO)


def fmt(language: Language = "en", now: int = NOW) -> Format:
    """Return the format for such a reader."""
    return Format(view(language), now)


def card(state: Any = "connected", **changes: Any) -> SenderCard:
    usual = {
        "name": "main",
        "channel": "linked",
        "state": state,
        "since": NOW - 60_000,
        "detail": records.usual("connected" if state == "paused" else state),
        "phone": "+201001234567",
        "qr": None,
        "qr_expires_at": None,
        "pair_code": None,
        "passkey_asked": False,
        "until": None,
        "is_paused": state == "paused",
        "is_running": state != "stopped",
        "last_sent_at": NOW - 8000,
        "uptime": (1.0,) * 48,
        "uptime_share": 1.0,
        "action": None,
    }
    return SenderCard(**{**usual, **changes})


def window(rate: float | None = None, median_ms: int | None = None, **happened: int) -> Period:
    """Return the counts of a period."""
    counts: dict[Happening, int] = {name: happened.get(name, 0) for name in HAPPENINGS}
    judged = counts["sent"] + counts["failed"] + counts["expired"]
    return Period(counts, rate, median_ms, judged)


def numbers(counts: dict[str, int] | None = None, **changes: Any) -> QueueNumbers:
    """Return the numbers after a few codes that all arrived."""
    usual = {
        "counts": {status: (counts or {"read": 9}).get(status, 0) for status in STATUSES},
        "oldest_waiting_at": None,
        "next_expiry_at": None,
        "expected_wait_ms": 0,
        "connected_senders": 1,
        "hour": window(1.0, 2100, sent=9, delivered=9),
        "day": window(1.0, 2400, sent=9, delivered=9),
    }
    return QueueNumbers(**{**usual, **changes})
