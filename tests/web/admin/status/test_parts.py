"""Rendering of the status page's parts, also for the stream."""

import re
from typing import Any

import pytest

from hudhud.channels.linked.faults import meaning
from hudhud.core.sentences import other
from hudhud.messages.listing import Job
from hudhud.messages.statistics import QueueNumbers
from hudhud.senders.overview import ActionResult, SenderCard
from hudhud.web.admin.status.feed import Render, Snapshot
from hudhud.web.admin.status.parts import LIVE, build_render
from hudhud.web.admin.ui.view import Language
from hudhud.web.state import OwnSender
from support.html import Page
from support.queued import NOW, PHONE
from support.shown import card, numbers, view

STATES = [
    "starting",
    "pairing",
    "connected",
    "reconnecting",
    "logged_out",
    "restricted",
    "outdated",
    "replaced",
    "paused",
    "stopped",
]


def render(channel: str = "linked") -> Render:
    return build_render(OwnSender("main", channel, pace_ms=(500, 1500), mean_gap=1.0))


def parts(
    *cards: SenderCard,
    of: QueueNumbers | None = None,
    language: Language = "en",
    channel: str = "linked",
) -> dict[str, str]:
    snapshot = Snapshot(cards=cards, numbers=of or numbers())
    return dict(render(channel).parts(view(language), snapshot))


def senders(*cards: SenderCard, language: Language = "en", channel: str = "linked") -> str:
    return parts(*cards, language=language, channel=channel)["senders"]


def job(**changes: Any) -> Job:
    usual: dict[str, Any] = {
        "id": 7,
        "phone": PHONE,
        "status": "queued",
        "attempts": 0,
        "error": None,
        "sender": None,
        "created_at": NOW,
        "expires_at": NOW + 300_000,
        "sent_at": None,
        "delivered_at": None,
        "read_at": None,
        "finished_at": None,
        "changed_at": NOW,
        "refusal": "not_failed",
    }
    return Job(**{**usual, **changes})


def row(language: Language = "en", **changes: Any) -> str:
    return render().row(view(language), job(**changes))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("language", ["en", "ar"])
def test_every_state_has_a_word_an_icon_and_a_sentence(state: str, language: Language) -> None:
    html = senders(card(state), language=language)
    page = Page(html)
    assert page.attributes("article")["data-state"] == state
    assert page.inline == []
    assert re.search(r'class="state".*?#i-\w+"/></svg> <span>[^<\s]', html, re.DOTALL)
    if language == "ar":
        assert 'lang="en"' not in html, "a sentence without translation"


@pytest.mark.parametrize("name", LIVE)
def test_each_part_is_one_element_with_its_name_as_id(name: str) -> None:
    html = parts(card())[name]
    assert Page(html).elements[0][1]["id"] == name
    assert html == html.strip()


def test_parts_for_the_stream_carry_no_token() -> None:
    html = "".join(parts(card(), card("paused", name="second")).values())
    assert "_csrf" not in html + row(refusal=None, status="failed")


def test_qr_code_is_dark_on_white_with_its_remaining_time() -> None:
    until = NOW * 2  # later than any clock that runs this test
    page = Page(senders(card("pairing", qr="2@abc", qr_expires_at=until)))
    assert page.attributes("svg", role="img")["aria-label"] == "QR code for linking the phone"
    assert page.attributes("path", stroke="#000")
    assert page.attributes("progress")["data-until"] == str(until)


def test_both_ways_of_linking_are_rendered_and_one_is_visible() -> None:
    page = Page(senders(card("pairing", qr="2@abc")))
    assert "hidden" not in page.attributes("div", **{"data-panel": "qr"})
    assert "hidden" in page.attributes("div", **{"data-panel": "phone"})


def test_pairing_code_is_shown_once_available() -> None:
    html = senders(card("pairing", pair_code="K7QF-2MXD"))
    assert "hidden" not in Page(html).attributes("div", **{"data-panel": "phone"})
    assert "<span>K7QF</span>" in html
    assert "<span>2MXD</span>" in html


def test_passkey_notice_replaces_the_codes() -> None:
    asked = card("pairing", qr="2@abc", passkey_asked=True, detail=meaning("passkey", ""))
    html = senders(asked)
    assert "The phone asks for a passkey" in html
    assert "data-panel" not in html


def test_hint_appears_after_codes_were_shown_for_a_minute() -> None:
    fresh = Page(senders(card("pairing", qr="2@abc", since=NOW * 2)))
    long_ago = Page(senders(card("pairing", qr="2@abc", since=1)))
    note = {"class": "note info"}
    assert "hidden" in fresh.attributes("div", **note)
    assert "hidden" not in long_ago.attributes("div", **note)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (ActionResult("reload", "asked", NOW), "Reload requested at"),
        (ActionResult("reload", "done", NOW, seconds=1.94), "Session reloaded: back after 1.9 s."),
        (ActionResult("reload", "failed", NOW, other("Odd.")), "Reload failed: Odd."),
        (ActionResult("logout", "asked", NOW), "Logout requested at"),
        (ActionResult("logout", "done", NOW, seconds=2.0), "ready for a new scan after 2.0 s."),
        (
            ActionResult("logout", "failed", NOW, other("No device is linked.")),
            "No device is linked.",
        ),
        (ActionResult("pair_phone", "asked", NOW), "Code for the phone number requested at"),
        (
            ActionResult("pair_phone", "failed", NOW, other("Odd.")),
            "Code for the phone number failed",
        ),
    ],
)
def test_result_of_the_last_action_is_shown(result: ActionResult, said: str) -> None:
    text = Page(senders(card("reconnecting", action=result))).text
    assert said in re.sub(r"\s+", " ", text)


def test_reload_in_progress_cannot_be_requested_again() -> None:
    html = senders(card(action=ActionResult("reload", "asked", NOW)))
    assert re.search(r"<button disabled>.*Reload session", html)


def test_sandbox_of_test_keys_is_one_line() -> None:
    html = senders(card(), card(name="main-sandbox", channel="sandbox"))
    assert html.count("<article") == 1
    line = re.sub(r"<[^>]+>", "", html[html.index('class="other"') :])
    assert "Sandbox main-sandbox: messages of test keys end here." in line


def test_sandbox_offers_no_session_actions_and_has_no_uptime() -> None:
    html = senders(card(channel="sandbox"), channel="sandbox")
    assert "Last 24 hours" not in html
    assert "Reload session" not in html
    assert "Logout WA" not in html
    assert "Pause sending" in html


def test_stopped_sender_offers_no_actions_for_its_process() -> None:
    assert "<button" not in senders(card("stopped"))


def test_a_name_may_hold_any_character() -> None:
    html = senders(card(name='a b"<i>'))
    assert "<i>" not in html
    assert 'id="sender-a_20b_22_3Ci_3E"' in html
    assert "sender=a%20b%22%3Ci%3E" in html


def test_bar_shows_up_partly_down_and_unknown_by_height() -> None:
    page = Page(senders(card(uptime=(1.0, 0.6, 0.1, None) * 12, uptime_share=0.57)))
    bars = [found for tag, found in page.elements if tag == "rect"]
    assert len(bars) == 48
    shapes = [(bar["class"], bar["height"]) for bar in bars[:4]]
    assert shapes == [("up", "28"), ("part", "16"), ("down", "7"), ("none", "28")]


def test_numbers_without_a_value_are_shown_as_a_dash() -> None:
    empty = numbers({"none": 0}, hour=numbers().hour, connected_senders=0)
    html = parts(card("pairing"), of=empty)["numbers"]
    assert "no sender can send" in html
    assert "nothing is waiting" in html


@pytest.mark.parametrize(("wait_ms", "is_red"), [(4000, False), (None, True)])
def test_waiting_codes_are_red_while_nothing_goes_out(wait_ms: int | None, *, is_red: bool) -> None:
    waiting = numbers({"queued": 2}, oldest_waiting_at=NOW - 9000, expected_wait_ms=wait_ms)
    html = parts(card("restricted"), of=waiting)["numbers"]
    first = html[html.index("<dl") : html.index("</div>")]
    assert ('class="bad"' in first) == is_red
    assert ("expected wait <b>4 s</b>" in first) != is_red


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize(
    "status", ["queued", "sending", "sent", "delivered", "read", "failed", "expired", "canceled"]
)
def test_row_carries_the_data_that_the_script_sorts_by(status: str, language: Language) -> None:
    found = Page(row(language, status=status)).attributes("tr")
    assert (found["id"], found["data-id"], found["data-phone"]) == ("job-7", "7", PHONE)
    assert found["data-delivery"] == status
    legacy = {"queued": "pending", "sending": "processing", "failed": "failed"}
    assert found["data-status"] in {legacy.get(status, ""), "sent", "failed"}


def test_a_failed_row_can_be_retried_while_its_code_is_valid() -> None:
    html = row(status="failed", error=other("Odd."), refusal=None, expires_at=NOW * 2)
    assert 'action="/admin/jobs/retry/7"' in html
    assert "Still valid for" in html


@pytest.mark.parametrize("refusal", ["expired", "canceled", "erased"])
def test_row_that_cannot_be_retried_leaves_the_reason_to_its_page(refusal: str) -> None:
    html = row(status="failed", error=other("Odd."), refusal=refusal)
    assert "Odd." in html
    assert "Cannot be retried" not in html
    assert "<form" not in html


def test_only_a_queued_row_can_be_canceled() -> None:
    assert 'action="/admin/jobs/cancel/7"' in row()
    assert "<form" not in row(status="sending")


def test_the_sandbox_of_test_keys_has_a_card_while_it_runs() -> None:
    beside = card(name="main-sandbox", channel="sandbox")
    html = senders(card(), beside)
    assert "WhatsApp sender <b" in html
    assert "Sandbox <b" in html
    stopped = senders(card(), card("stopped", name="main-sandbox", channel="sandbox"))
    assert "main-sandbox" not in stopped
    assert stopped == senders(card())
