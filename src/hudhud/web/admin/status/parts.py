"""The live parts of the status page and its stream."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from hudhud.channels.base import SANDBOX
from hudhud.messages.listing import Job
from hudhud.senders.overview import SenderCard
from hudhud.web.admin.jobs import labels
from hudhud.web.admin.senders.look import look, sender_id, sentence
from hudhud.web.admin.status.feed import Render, Snapshot
from hudhud.web.admin.status.first_steps import first_step
from hudhud.web.admin.status.verdict import POOR_RATE, verdict
from hudhud.web.admin.ui.render import fragment
from hudhud.web.admin.ui.view import View
from hudhud.web.http.qr_svg import qr_svg
from hudhud.web.state import OwnSender

# Functions for the templates.
WORDS: Mapping[str, Callable[..., Any]] = {
    **labels.WORDS,
    "look": look,
    "qr_svg": qr_svg,
    "sender_id": sender_id,
    "sentence": sentence,
}
LIVE = ("verdict", "senders", "trial", "numbers")


def context(snapshot: Snapshot, sender: OwnSender, *, pair: str = "qr") -> dict[str, Any]:
    """Return the variables of the templates; `pair` is the way of pairing."""
    own = [card for card in snapshot.cards if card.channel == sender.channel]
    step = first_step(own) if snapshot.is_fresh else None
    has_codes = not snapshot.is_fresh or snapshot.numbers.any_jobs
    return {
        **WORDS,
        "judge": partial(verdict, channel=sender.channel, is_fresh=snapshot.is_fresh),
        "cards": [card for card in snapshot.cards if _concerns(card, sender)],
        "own_cards": own,
        "first_step": step,
        "has_codes": has_codes,
        "layout": f"{step or 'done'} {'codes' if has_codes else 'none'}",
        "numbers": snapshot.numbers,
        "trial": snapshot.trial,
        "is_sandbox": sender.channel == SANDBOX,
        "pace": sender.pace_ms,
        "pair": pair,
        "poor_rate": POOR_RATE,
    }


def _concerns(card: SenderCard, sender: OwnSender) -> bool:
    """Return whether to show a sender; hide idle ones of other channels."""
    return card.channel == sender.channel or card.is_running


def build_render(sender: OwnSender) -> Render:
    """Build the renderer of rows and of parts, named like their ids."""

    def parts(view: View, snapshot: Snapshot) -> dict[str, str]:
        facts = context(snapshot, sender)
        return {name: fragment(view, f"partials/{name}.html", **facts) for name in LIVE}

    def row(view: View, job: Job) -> str:
        return fragment(view, "partials/row.html", job=job, **WORDS)

    return Render(parts, row)
