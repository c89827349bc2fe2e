"""Values that several processes derive from the settings."""

import pytest

from conftest import settings
from hudhud.verification.build import mean_gap_of


@pytest.mark.parametrize(("channel", "seconds"), [("linked", 1.5), ("sandbox", 0.0)])
def test_only_a_paced_channel_has_a_gap_between_messages(channel: str, seconds: float) -> None:
    chosen = settings(channel=channel, worker_min_send_delay_ms=1000, worker_max_send_delay_ms=2000)
    assert mean_gap_of(chosen) == seconds
