"""The states of a message and their names in the earlier application."""

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
def test_every_state_maps_to_a_word_of_the_earlier_application(status: str, word: str) -> None:
    assert legacy_status(status) == word
