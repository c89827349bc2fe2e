"""Formatting of times, durations, numbers and phones."""

import json

import pytest

from hudhud.core.clock import iso
from hudhud.core.sentences import other, say
from support.queued import NOW
from support.shown import fmt

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("milliseconds", "english", "arabic"),
    [
        (-5, "0 s", "0 ثانية"),
        (0, "0 s", "0 ثانية"),
        (1 * SECOND, "1 s", "ثانية"),
        (59_999, "59 s", "59 ثانية"),
        (2 * MINUTE, "2 min", "دقيقتين"),
        (3 * MINUTE + 40 * SECOND, "3 min 40 s", "3 دقائق و40 ثانية"),
        (HOUR + 5 * SECOND, "1 h", "ساعة"),
        (2 * HOUR + 28 * MINUTE + 9 * SECOND, "2 h 28 min", "ساعتين و28 دقيقة"),
        (DAY + 5 * HOUR, "1 day", "يوم"),
        (2 * DAY, "2 days", "يومين"),
        (3 * DAY, "3 days", "3 أيام"),
        (11 * DAY, "11 days", "11 يومًا"),
        (100 * DAY, "100 days", "100 يوم"),
    ],
)
def test_a_duration_is_written_in_its_two_largest_units(
    milliseconds: int, english: str, arabic: str
) -> None:
    assert fmt().span(milliseconds) == english
    assert fmt("ar").span(milliseconds) == arabic


@pytest.mark.parametrize(
    ("share", "written"),
    [(None, "–"), (0.0, "0"), (0.613, "61.3"), (0.5, "50"), (0.9996, "99.9"), (1.0, "100")],
)
def test_share_is_rounded_to_100_percent_only_if_complete(
    share: float | None, written: str
) -> None:
    assert fmt().percent(share) == written


def test_time_is_short_with_the_exact_moment_on_hover() -> None:
    assert 'title="Tuesday 24 November 2026 03:31:18.036 +02:00"' in fmt().moment(NOW)
    assert ">03:31:18<" in fmt().moment(NOW)
    assert ">03:31<" in fmt().moment(NOW, seconds=False)
    assert ">yesterday, 03:31<" in fmt().moment(NOW - DAY)
    assert ">20 Nov, 03:31<" in fmt().moment(NOW - 4 * DAY)
    assert ">20 Nov 2025, 03:31<" in fmt().moment(NOW - 369 * DAY)
    assert ">20 نوفمبر، 03:31<" in fmt("ar").moment(NOW - 4 * DAY)
    assert fmt().moment(None) == "–"


def test_time_of_a_step_has_its_day_unless_that_is_today() -> None:
    assert ">03:31:18.036<" in fmt().clock(NOW)
    assert ">yesterday, 03:31:18.036<" in fmt().clock(NOW - DAY)
    assert ">20 Nov, 03:31:18.036<" in fmt().clock(NOW - 4 * DAY)
    assert ">20 نوفمبر، 03:31:18.036<" in fmt("ar").clock(NOW - 4 * DAY)


def test_later_time_is_written_as_a_difference() -> None:
    assert "+4.6</bdi> s" in fmt().later(NOW + 4600, NOW)
    assert "+</bdi>3 min 40 s" in fmt().later(NOW + 220_000, NOW)
    assert "+0.0</bdi> s" in fmt().later(NOW - 900, NOW)  # as earlier versions stored it
    assert fmt().later(None, NOW) == "–"


def test_phone_is_grouped_and_left_to_right() -> None:
    assert fmt("ar").phone("+442079460317") == '<bdi dir="ltr">+44 20 7946 0317</bdi>'
    assert fmt().phone("<b>") == '<bdi dir="ltr">&lt;b&gt;</bdi>'
    assert fmt().phone(None) == "–"


def test_the_country_of_a_phone_is_named_in_the_readers_language() -> None:
    assert fmt().country("+201001234567") == "Egypt"
    assert fmt("ar").country("+201001234567") == "مصر"
    assert fmt().country("nonsense") == ""


def test_numbers_have_latin_digits_in_both_languages() -> None:
    assert fmt().number(1284) == fmt("ar").number(1284) == "1,284"
    assert fmt("ar").seconds(2100) == "2.1"
    assert [fmt().seconds(time) for time in (1, 49, 149)] == ["0.1", "0.1", "0.1"]


def test_known_sentence_of_the_database_is_translated() -> None:
    known = say("job.no_account")
    assert fmt().sentence(known) == known.english()
    assert fmt("ar").sentence(known) == "هذا الرقم ليس على واتساب."


def test_detail_of_a_sentence_is_not_translated() -> None:
    text = fmt("ar").sentence(say("job.not_taken", detail="server returned error 479"))
    assert "لم يقبلها واتساب" in text
    assert "\u2068server returned error 479\u2069" in text


def test_timestamp_in_a_sentence_is_a_time_in_the_readers_zone() -> None:
    until = say("key.earlier_works_until", detail=iso(NOW + 3 * DAY))
    assert fmt().sentence(until) == "The previous secret works until 27 Nov, 03:31."
    assert "27 نوفمبر، 03:31" in fmt("ar").sentence(until)
    impossible = say("key.earlier_works_until", detail="2026-02-31T00:00:00.000Z")
    assert "2026-02-31T00:00:00.000Z" in fmt().sentence(impossible)


def test_a_reason_within_a_sentence_is_translated_too() -> None:
    text = fmt("ar").sentence(say("action.not_retried", job=7, reason=say("refusal.expired")))
    assert "انتهت صلاحيتها" in text


def test_an_unknown_sentence_is_shown_as_english() -> None:
    assert fmt("ar").sentence(other("Odd.")) == '<span lang="en" dir="ltr">Odd.</span>'
    assert fmt("ar").sentence(other("<i>")) == '<span lang="en" dir="ltr">&lt;i&gt;</span>'
    assert fmt().sentence(None) == ""


def test_script_gets_every_plural_of_every_unit() -> None:
    units = json.loads(fmt("ar").units())
    assert units["units"]["1000"]["few"] == "%(num)d ثوانٍ"
    assert set(units["units"]) == {"1000", "60000", "3600000", "86400000"}
    assert units["joined"] == "%(first)s و%(second)s"
