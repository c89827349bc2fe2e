"""The sender states that cause an alert."""

from hudhud.maintenance.alerts.senders import due


def test_zero_allowed_failures_alert_at_the_first_disconnection() -> None:
    assert due("reconnecting", 0, 0, None) == "reconnecting"
