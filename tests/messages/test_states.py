"""The states of a message, and their words of the earlier application."""

import pytest

from hudhud.messages.states import legacy_status


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("queued", "pending"),
        ("sending", "processing"),
        ("sent", "sent"),
        ("delivered", "sent"),
        ("read", "sent"),
        ("failed", "failed"),
        ("expired", "failed"),
        ("canceled", "failed"),
    ],
)
def test_every_state_has_the_earlier_applications_word(status: str, word: str) -> None:
    assert legacy_status(status) == word
