"""The look of a sender's state: tone, icon and label."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from markupsafe import Markup

from hudhud.senders.overview import SenderCard
from hudhud.web.admin.ui.format import Format

# The usual sentence; any other adds details.
CONNECTED = "sender.connected"

Tone = Literal["ok", "idle", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class StateLook:
    """The look of a state; `word` may contain a time."""

    tone: Tone
    icon: str
    word: Markup


_TONES: dict[str, tuple[Tone, str]] = {
    "starting": ("idle", "dots"),
    "pairing": ("warn", "qr"),
    "connected": ("ok", "ok"),
    "reconnecting": ("warn", "refresh"),
    "logged_out": ("bad", "out"),
    "restricted": ("warn", "ban"),
    "outdated": ("bad", "old"),
    "replaced": ("bad", "swap"),
    "paused": ("idle", "pause"),
    "stopped": ("idle", "stop"),
}


def sender_id(name: str) -> str:
    """Return a valid element id for a sender's card, whatever its name."""
    return "sender-" + quote(name, safe="").replace("%", "_")


def look(card: SenderCard, fmt: Format) -> StateLook:
    """Return the look of a card's state."""
    tone, icon = _TONES[card.state]
    return StateLook(tone, icon, _word(card, fmt))


def sentence(card: SenderCard, fmt: Format) -> Markup:
    """Explain the state and what to do."""
    if card.state == "paused":
        return fmt.fill(
            fmt.gettext("Sending is paused. New codes are accepted and wait. Resume when ready.")
        )
    if card.state == "connected" and card.detail.code == CONNECTED:
        return fmt.fill(fmt.gettext("Codes go out as they are requested. There is nothing to do."))
    return fmt.sentence(card.detail)


def _word(card: SenderCard, fmt: Format) -> Markup:
    if card.state == "restricted" and card.until is not None:
        return fmt.fill(
            fmt.gettext("Restricted until %(time)s"), time=fmt.moment(card.until, seconds=False)
        )
    words = {
        "starting": fmt.gettext("Starting"),
        "pairing": fmt.gettext("Waiting to be linked"),
        "connected": fmt.gettext("Connected"),
        "reconnecting": fmt.gettext("Reconnecting"),
        "logged_out": fmt.gettext("Logged out"),
        "restricted": fmt.gettext("Restricted"),
        "outdated": fmt.gettext("Outdated"),
        "replaced": fmt.gettext("Replaced"),
        "paused": fmt.gettext("Paused"),
        "stopped": fmt.gettext("Stopped"),
    }
    return fmt.fill(words[card.state])
