"""The steps of a fresh installation: link a phone, then send a test code."""

from collections.abc import Sequence
from typing import Final, Literal

from hudhud.senders.overview import SenderCard

FirstStep = Literal[1, 2]
_UNLINKED: Final = frozenset({"pairing", "logged_out"})


def first_step(cards: Sequence[SenderCard]) -> FirstStep:
    """Return the step that is next: 1 until one of these senders is linked, then 2."""
    return 2 if any(is_linked(card) for card in cards) else 1


def is_linked(card: SenderCard) -> bool:
    """Return whether the sender needs no phone, or has one, even if it is offline just now."""
    if not card.channel_type.needs_pairing or card.state == "connected":
        return True
    return card.phone is not None and card.state not in _UNLINKED
