"""Parsing and formatting of limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudhud.core.errors import BadRequest, SettingsError
from hudhud.core.rates import (
    KINDS,
    LONGEST_WINDOW_MS,
    Rate,
    parse_own_limits,
    parse_rates,
    parse_span,
    span,
    write_own_limits,
    write_rates,
)
from hudhud.core.settings import load_settings

NUMBER_DEFAULT = (Rate(1, 30_000), Rate(5, 3_600_000), Rate(10, 86_400_000))


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("1/30s", (Rate(1, 30_000),)),
        ("10/1d, 1/30s ,5/1h", NUMBER_DEFAULT),
        ("1000/10m", (Rate(1000, 600_000),)),
        ("7/90s", (Rate(7, 90_000),)),
        ("0", ()),
        (" 0 ", ()),
    ],
)
def test_common_spellings_of_rates_are_parsed(text: str, rates: tuple[Rate, ...]) -> None:
    assert parse_rates(text) == rates


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "write it as 1/30s"),
        ("5", "'5' is no limit"),
        ("5/h", "'5/h' is no limit"),
        ("5/1w", "'5/1w' is no limit"),
        ("-5/1h", "'-5/1h' is no limit"),
        ("1/30s,,5/1h", "write it as 1/30s"),
        ("٥/1h", "is no limit"),
        ("0/1h", "0/1h would let nothing through: write 0 alone"),
        ("5/0s", "no time between 1s and 31d"),
        ("5/32d", "no time between 1s and 31d"),
        ("5/60m,6/1h", "5/1h and 6/1h are two limits for the same time"),
        ("9999999999/1h", "too much to count"),
        ("1/1s,1/2s,1/3s,1/4s,1/5s,1/6s", "at most 5 limits of one kind"),
    ],
)
def test_invalid_rate_is_refused_with_the_expected_form(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_rates(text)


windows = st.integers(1, LONGEST_WINDOW_MS // 1000).map(lambda seconds: seconds * 1000)
rates = st.lists(
    st.builds(Rate, st.integers(1, 10**9), windows), max_size=5, unique_by=lambda rate: rate[1]
).map(lambda listed: tuple(sorted(listed, key=lambda rate: rate.window_ms)))


@given(rates)
def test_rates_are_formatted_as_they_are_parsed(given_rates: tuple[Rate, ...]) -> None:
    assert parse_rates(write_rates(given_rates)) == given_rates


@given(st.dictionaries(st.sampled_from(KINDS), rates))
def test_own_limits_are_formatted_as_they_are_parsed(own: dict[str, tuple[Rate, ...]]) -> None:
    assert parse_own_limits(write_own_limits(own)) == own  # type: ignore[arg-type] # its keys are kinds


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused_with_a_sentence(text: str) -> None:
    try:
        parse_own_limits(text)
    except BadRequest as error:
        said = str(error)
    else:
        said = "It is read."
    assert said.endswith(".")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("per_person=1/30s", "per_person is no limit of a key. There are: per_number, per_key"),
        ("total=1/30s", "total is no limit of a key"),
        ("per_number=1/30s per_number=0", "per_number stands there twice"),
        ("per_number", "per_number: write it as 1/30s"),
        ("per_number=often", "per_number: 'often' is no limit"),
    ],
)
def test_invalid_own_limit_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        parse_own_limits(text)


def test_kind_may_be_written_like_an_option() -> None:
    assert parse_own_limits("PER-NUMBER=1/30s") == {"per_number": (Rate(1, 30_000),)}


@pytest.mark.parametrize("milliseconds", [1000, 90_000, 3_600_000, 5_400_000, 86_400_000])
def test_time_is_formatted_in_the_largest_fitting_unit(milliseconds: int) -> None:
    assert parse_rates(f"1/{span(milliseconds)}") == (Rate(1, milliseconds),)
    assert len(span(milliseconds)) <= 3


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LIMIT_PER_NUMBER", "1 in 30", "LIMIT_PER_NUMBER: '1 in 30' is no limit"),
        ("LIMIT_TOTAL", "0/1h", "LIMIT_TOTAL: 0/1h would let nothing through"),
        ("LIMIT_PER_KEY", "5/1h,5/60m", "LIMIT_PER_KEY: 5/1h and 5/1h are two limits"),
        ("ALLOWED_COUNTRIES", "EG,XX", "ALLOWED_COUNTRIES: 'XX' is no country"),
        ("DENIED_COUNTRIES", "Egypt", "DENIED_COUNTRIES: 'EGYPT' is no country"),
        ("CONVERSION_GUARD", "maybe", "CONVERSION_GUARD: "),
    ],
)
def test_invalid_setting_stops_the_start_with_one_line(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMIT_PER_NUMBER", "1/30s,5/1h,10/1d")
    monkeypatch.setenv("LIMIT_PER_PREFIX", "0")
    monkeypatch.setenv("ALLOWED_COUNTRIES", " eg, SA ,001")
    read = load_settings()
    assert read.limit_per_number == NUMBER_DEFAULT
    assert read.limit_per_prefix == ()
    assert read.limit_per_key is None
    assert read.allowed_countries == ("EG", "SA", "001")


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("0s", 0), ("30m", 1_800_000), (" 24h ", 86_400_000), ("7d", 604_800_000)],
)
def test_duration_is_parsed(text: str, milliseconds: int) -> None:
    assert parse_span(text) == milliseconds


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1.5h", "1w", "١h", "1234567s"])
def test_invalid_duration_is_none(text: str) -> None:
    assert parse_span(text) is None
