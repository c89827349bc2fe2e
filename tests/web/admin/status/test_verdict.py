"""The verdict for all combinations of senders and numbers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from hudhud.core.sentences import say
from hudhud.messages.statistics import QueueNumbers, RefusedSend
from hudhud.senders.overview import SenderCard
from hudhud.web.admin.status.verdict import LATE_MS, Verdict, verdict
from support.queued import NOW
from support.shown import card, fmt, numbers, window

NOTHING_YET: dict[str, int] = {"none": 0}
TWELVE_WAIT: dict[str, Any] = {
    "counts": {"queued": 12, "read": 9},
    "oldest_waiting_at": NOW - 5000,
    "next_expiry_at": NOW + 197_000,
}


def judged(
    cards: Sequence[SenderCard],
    of: QueueNumbers | None = None,
    channel: str = "linked",
    *,
    is_fresh: bool = False,
) -> Verdict:
    return verdict(cards, of or numbers(), fmt(), channel=channel, is_fresh=is_fresh)


def test_connected_sender_with_deliveries_is_good() -> None:
    found = judged([card()])
    assert (found.tone, found.title) == ("ok", "Codes are arriving")
    assert "100%" in found.sentence
    assert "within 2.1 s" in found.sentence
    assert found.sentence.endswith("No action needed.")
    assert found.action is None
    assert not found.needs_somebody


def test_hour_without_messages_is_no_problem() -> None:
    found = judged([card()], numbers(hour=window()))
    assert (found.tone, found.title) == ("ok", "Ready to send")


def test_test_codes_alone_do_not_make_an_hour_without_codes() -> None:
    only_tests = window(None, None, sent=1, delivered=1)
    assert judged([card()], numbers(hour=only_tests)).sentence == (
        "WhatsApp is connected. No action needed."
    )


def test_fresh_installation_has_two_steps_to_go() -> None:
    nothing = numbers(NOTHING_YET, hour=window())
    found = judged([card("pairing", qr="x", phone=None)], nothing, is_fresh=True)
    assert (found.tone, found.title) == ("idle", "Hudhud is running. Two steps to the first code")
    assert not found.needs_somebody


def test_linked_installation_is_ready_for_the_first_code() -> None:
    found = judged([card()], numbers(NOTHING_YET, hour=window()), is_fresh=True)
    assert (found.tone, found.title) == ("ok", "Ready for the first code")


def test_test_code_that_nobody_has_typed_leaves_one_step() -> None:
    sent = numbers({"delivered": 1}, hour=window(None, None, sent=1, delivered=1))
    found = judged([card()], sent, is_fresh=True)
    assert (found.tone, found.title) == ("ok", "One step is left")


def test_test_code_that_waits_too_long_is_late_like_any_other() -> None:
    waits = numbers({"queued": 1}, oldest_waiting_at=NOW - 40_000)
    assert judged([card()], waits, is_fresh=True).title == "Codes are late"


def test_fresh_installation_that_lost_its_sender_reports_it() -> None:
    found = judged([card("stopped")], numbers(NOTHING_YET), is_fresh=True)
    assert (found.tone, found.title) == ("bad", "No codes are going out")


def test_sandbox_verdict_says_that_no_messages_are_sent() -> None:
    assert "sandbox" in judged([card(channel="sandbox")], channel="sandbox").sentence


@pytest.mark.parametrize("state", ["connected", "stopped", "starting", "reconnecting", "paused"])
def test_sandbox_of_test_keys_does_not_affect_the_verdict(state: str) -> None:
    beside = card(state, name="main-sandbox", channel="sandbox")
    for cards in ([card()], [card("pairing")], [card("logged_out")], []):
        assert judged([*cards, beside]) == judged(cards)


def test_former_linked_device_does_not_affect_a_sandbox_installation() -> None:
    found = judged([card("stopped"), card(channel="sandbox", name="s")], channel="sandbox")
    assert (found.tone, found.title) == ("ok", "Codes are arriving")


def test_unlinked_sender_asks_to_link_a_phone() -> None:
    found = judged([card("pairing", qr="x")], numbers(connected_senders=0, **TWELVE_WAIT))
    assert (found.tone, found.icon, found.title) == ("warn", "qr", "Link a phone to send codes")
    assert found.sentence.startswith("12 codes are waiting.")
    assert "3 min 17 s" in found.sentence
    assert f'data-until="{NOW + 197_000}"' in found.sentence


@pytest.mark.parametrize(
    ("state", "clause", "advice"),
    [
        ("logged_out", "was logged out", "Link <b>"),
        ("outdated", "has a version that is refused", "Update Hudhud"),
        ("replaced", "Another program took over", "Stop the other program"),
        ("stopped", "is not running", "hudhud serve"),
        ("restricted", "is restricted", "resumes by itself"),
    ],
)
def test_sender_that_cannot_send_is_an_alarm_with_a_remedy(
    state: str, clause: str, advice: str
) -> None:
    found = judged([card(state)])
    assert (found.tone, found.title) == ("bad", "No codes are going out")
    assert clause in found.sentence
    assert advice in found.sentence
    assert "No code is waiting." in found.sentence
    assert found.needs_somebody


def test_verdict_shows_the_end_of_a_restriction_if_known() -> None:
    assert "restricted until" in judged([card("restricted", until=NOW + 60_000)]).sentence


def test_two_failed_senders_are_named_with_the_remedy_of_the_worse() -> None:
    both = [card("restricted", name="second"), card("logged_out")]
    found = judged(both, numbers(connected_senders=0, **TWELVE_WAIT))
    assert found.sentence.index("main") < found.sentence.index("second")
    assert found.action is not None
    assert (found.action.target, found.action.label) == ("#sender-main", "Link main")


def test_one_failed_sender_of_two_is_a_warning() -> None:
    found = judged([card(), card("logged_out", name="second")])
    assert found.tone == "warn"
    assert found.title == "Codes are arriving, but not every sender works"
    assert "second" in found.sentence


def test_one_paused_sender_of_two_is_no_problem() -> None:
    assert judged([card(), card("paused", name="second")]).tone == "ok"


@pytest.mark.parametrize(("waiting", "tone"), [(0, "idle"), (3, "warn")])
def test_pause_is_no_problem_until_codes_wait(waiting: int, tone: str) -> None:
    found = judged([card("paused")], numbers({"queued": waiting, "read": 9}))
    assert (found.tone, found.title) == (tone, "Sending is paused")
    assert found.action is not None
    assert (found.action.kind, found.action.target) == ("resume", "main")


@pytest.mark.parametrize(
    ("state", "tone", "title"),
    [
        ("starting", "idle", "The sender is starting"),
        ("reconnecting", "warn", "The connection to WhatsApp is being restored"),
    ],
)
def test_temporary_problem_needs_no_action(state: str, tone: str, title: str) -> None:
    found = judged([card(state)])
    assert (found.tone, found.title) == (tone, title)
    assert found.action is None


def test_installation_without_senders_is_an_alarm() -> None:
    found = judged([])
    assert found.tone == "bad"
    assert "hudhud serve" in found.sentence


@pytest.mark.parametrize(("age", "title"), [(1, "Codes are late"), (-1000, "Codes are arriving")])
def test_codes_waiting_for_a_free_sender_are_late(age: int, title: str) -> None:
    waits = numbers({"queued": 2, "read": 9}, oldest_waiting_at=NOW - LATE_MS - age)
    found = judged([card()], waits)
    assert found.title == title


def test_refused_send_is_a_warning_although_others_arrived() -> None:
    refused = RefusedSend(NOW - 60_000, say("job.stranger"), "main")
    found = judged([card()], numbers({"queued": 2, "read": 9}, refused=refused))
    assert (found.tone, found.title) == ("warn", "Codes are being refused")
    assert "error 463" in found.sentence
    assert "none was sent since" in found.sentence
    assert "2 codes are waiting." in found.sentence


@pytest.mark.parametrize("state", ["starting", "pairing", "reconnecting", "logged_out"])
def test_reason_of_a_logout_stays_until_a_phone_is_linked(state: str) -> None:
    lost = card(state, qr="x", lost=say("linked.logged_out"), lost_at=NOW - 60_000)
    found = judged([lost], numbers({"queued": 1, "read": 9}))
    assert (found.tone, found.title) == ("bad", "No codes are going out")
    assert "Your phone logged" in found.sentence
    assert "1 code is waiting." in found.sentence
    assert found.action is not None
    assert found.action.label == "Link main"
    unused = replace(lost, last_sent_at=None)
    assert judged([unused], numbers(NOTHING_YET, hour=window())).tone == "warn"
    assert judged([unused], numbers({"queued": 1})).tone == "bad"
    assert judged([lost], numbers(NOTHING_YET, hour=window())).tone == "bad"


@pytest.mark.parametrize(
    ("code", "clause"),
    [
        ("linked.operator_logout", "was logged out by an admin at"),
        ("linked.session_gone", "was missing at"),
        ("linked.main_device_gone", "WhatsApp ended the session of"),
        ("linked.unknown_logout", "WhatsApp ended the session of"),
    ],
)
def test_each_reason_of_a_logout_has_its_clause(code: str, clause: str) -> None:
    lost = card("pairing", lost=say(code), lost_at=NOW - 60_000)
    assert clause in judged([lost]).sentence


def test_low_success_rate_is_a_warning_that_links_to_failed_jobs() -> None:
    found = judged([card()], numbers(hour=window(0.613, 2300, sent=20, delivered=12, failed=3)))
    assert (found.tone, found.title) == ("warn", "Many codes do not arrive")
    assert "61.3%" in found.sentence
    assert found.action is not None
    assert found.action.target == "?filterStatus=failed_or_expired#jobs"


def test_one_failure_among_few_messages_is_no_warning() -> None:
    found = judged([card()], numbers(hour=window(0.5, 2300, sent=1, delivered=1, failed=1)))
    assert found.title == "Codes are arriving"


@pytest.mark.parametrize(
    ("waiting", "english", "arabic"),
    [
        (1, "1 code is waiting. It expires in", "تنتهي صلاحيته"),
        (2, "2 codes are waiting. The next one expires in", "تنتهي صلاحية أقربهما"),
        (12, "12 codes are waiting. The next one expires in", "تنتهي صلاحية أقربها"),
    ],
)
def test_next_expiry_is_worded_for_one_or_several_codes(
    waiting: int, english: str, arabic: str
) -> None:
    wait = numbers(**{**TWELVE_WAIT, "counts": {"queued": waiting}}, connected_senders=0)
    assert english in judged([card("pairing")], wait).sentence
    assert arabic in verdict([card("pairing")], wait, fmt("ar"), channel="linked").sentence


def test_sender_name_is_escaped() -> None:
    name = "<script>alert(1)</script>"
    found = judged([card("logged_out", name=name)])
    assert "<script" not in found.sentence
    assert found.action is not None
    assert "<" not in found.action.target


def test_every_case_is_translated_to_arabic() -> None:
    cases = [[card()], [card("pairing")], [card("logged_out")], [card("paused")], []]
    for cards in cases:
        found = verdict(cards, numbers(**TWELVE_WAIT), fmt("ar"), channel="linked")
        assert not any(letter.isascii() and letter.isalpha() for letter in found.title)
