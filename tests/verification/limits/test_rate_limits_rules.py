"""How limits are written, which of them a send is under, and what the headers say of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import settings
from hudhud.auth.caller import ENVIRONMENT, Caller
from hudhud.core.errors import BadRequest, SettingsError
from hudhud.core.phones import Phone
from hudhud.core.rates import (
    KINDS,
    LONGEST_WINDOW_MS,
    Rate,
    parse_own_limits,
    parse_rates,
    span,
    write_own_limits,
    write_rates,
)
from hudhud.core.settings import load_settings
from hudhud.verification.limits.rate_limits import Limit, LimitReached, Limits, Policy, Quota
from hudhud.web.http.rate_limit_headers import headers

PHONE = Phone("+201001234567", "EG")
HUDHUDS = Caller("hh_live_abc123", "shop", frozenset({"send", "verify"}))
ENVIRONMENTS = Caller(ENVIRONMENT, "API_KEY", frozenset({"send"}))
NUMBER_DEFAULT = (Rate(1, 30_000), Rate(5, 3_600_000), Rate(10, 86_400_000))


def names(limits: list[Limit]) -> list[str]:
    return [limit.name for limit in limits]


def subjects(caller: Caller, own: str | None = None, **changes: str) -> set[str]:
    """What is counted for a send of this caller under these settings and own limits."""
    changed = Caller(caller.owner, caller.name, caller.scopes, is_test=caller.is_test, limits=own)
    return {limit.subject for limit in Limits(settings(**changes)).of(changed, PHONE, "192.0.2.7")}


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
def test_rates_are_read_from_what_people_write(text: str, rates: tuple[Rate, ...]) -> None:
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
def test_what_is_no_rate_is_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_rates(text)


windows = st.integers(1, LONGEST_WINDOW_MS // 1000).map(lambda seconds: seconds * 1000)
rates = st.lists(
    st.builds(Rate, st.integers(1, 10**9), windows), max_size=5, unique_by=lambda rate: rate[1]
).map(lambda listed: tuple(sorted(listed, key=lambda rate: rate.window_ms)))


@given(rates)
def test_rates_are_written_as_they_are_read(given_rates: tuple[Rate, ...]) -> None:
    assert parse_rates(write_rates(given_rates)) == given_rates


@given(st.dictionaries(st.sampled_from(KINDS), rates))
def test_own_limits_are_written_as_they_are_read(own: dict[str, tuple[Rate, ...]]) -> None:
    assert parse_own_limits(write_own_limits(own)) == own  # type: ignore[arg-type] # its keys are kinds


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
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
def test_what_a_key_cannot_be_limited_by_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        parse_own_limits(text)


def test_a_kind_may_be_written_as_in_an_option() -> None:
    assert parse_own_limits("PER-NUMBER=1/30s") == {"per_number": (Rate(1, 30_000),)}


@pytest.mark.parametrize("milliseconds", [1000, 90_000, 3_600_000, 5_400_000, 86_400_000])
def test_a_time_is_written_in_the_greatest_unit_that_fits(milliseconds: int) -> None:
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
def test_a_wrong_setting_stops_the_start_with_one_line(
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


def test_the_key_of_the_environment_has_no_limit_unless_set() -> None:
    assert subjects(ENVIRONMENTS) == set()
    assert subjects(ENVIRONMENTS, limit_per_number="5/1h") == {"per_number +201001234567"}


def test_keys_made_by_hudhud_start_with_the_defaults() -> None:
    limits = Limits(settings()).of(HUDHUDS, PHONE, "192.0.2.7")
    assert [limit.rates for limit in limits] == [NUMBER_DEFAULT, (Rate(1000, 600_000),)]
    assert names(limits) == ["per_number", "per_prefix"]


def test_a_setting_replaces_the_default_and_zero_switches_it_off() -> None:
    changed = subjects(HUDHUDS, limit_per_number="0", limit_per_prefix="7/1m")
    assert changed == {"per_prefix +20100123 1m"}


def test_a_keys_own_limits_win_over_both_and_count_for_that_key_alone() -> None:
    own = "per_number=1/1m per_prefix=0"
    changed = subjects(HUDHUDS, own, limit_per_number="5/1h", limit_per_prefix="7/1m")
    assert changed == {"per_number +201001234567 hh_live_abc123"}


def test_no_key_goes_beyond_the_ceiling_of_the_whole_service() -> None:
    everything_off = " ".join(f"{kind}=0" for kind in KINDS)
    assert subjects(HUDHUDS, everything_off, limit_total="9/1h") == {"total 1h"}
    assert subjects(ENVIRONMENTS, limit_total="9/1h") == {"total 1h"}


def test_each_kind_is_about_something_else() -> None:
    each = {f"limit_{kind}": "5/1h" for kind in KINDS}
    assert subjects(ENVIRONMENTS, **each) == {
        "per_number +201001234567",
        "per_key environment 1h",
        "per_client_ip 192.0.2.7 1h",
        "per_country EG 1h",
        "per_prefix +20100123 1h",
    }


def test_what_a_test_key_sends_counts_apart_from_what_reaches_people() -> None:
    tester = Caller("hh_test_abc123", "tests", frozenset({"send"}), is_test=True)
    assert subjects(tester, limit_total="9/1h", limit_per_prefix="0") == {
        "per_number +201001234567 test",
        "total test 1h",
    }


def test_without_a_number_or_an_address_only_the_others_hold() -> None:
    each = {f"limit_{kind}": "5/1h" for kind in KINDS}
    limits = Limits(settings(**each)).of(HUDHUDS, None, None)
    assert names(limits) == ["per_key"]


def test_the_addresses_of_one_ipv6_customer_are_one() -> None:
    limits = Limits(settings(limit_per_client_ip="5/1h"))
    one = limits.of(ENVIRONMENTS, PHONE, "2001:db8::1")
    other = limits.of(ENVIRONMENTS, PHONE, "2001:db8::ffff")
    assert one == other


def test_numbers_are_counted_to_the_millisecond_and_others_in_sixtieths() -> None:
    both = Limits(settings(limit_per_number="1/1h", limit_total="1/1h,5/1d"))
    assert [limit.grain_ms for limit in both.of(ENVIRONMENTS, PHONE, None)] == [1, 60_000, 1440_000]


QUOTA = Quota(
    (
        Policy("per_number", Rate(1, 30_000), 0, 12_001),
        Policy("per_number", Rate(5, 3_600_000), 4, 3_600_000),
        Policy("total", Rate(100, 60_000), 0, 5000),
    )
)


def test_headers_name_each_limit_and_what_is_left_of_it() -> None:
    assert headers(QUOTA) == {
        "RateLimit-Policy": '"per_number-30s";q=1;w=30, "per_number-1h";q=5;w=3600, '
        '"total-1m";q=100;w=60',
        "RateLimit": '"per_number-30s";r=0;t=13, "per_number-1h";r=4;t=3600, "total-1m";r=0;t=5',
    }


def test_headers_of_a_refusal_promise_nothing_later_than_retry_after() -> None:
    refused = LimitReached(Quota(QUOTA.policies, is_reached=True))
    assert refused.retry_after == 13
    assert refused.word == "rate_limited"
    assert str(refused) == ("Too many codes to this number: at most 1 in 30s. Try again in 13 s.")
    shown = headers(refused.quota)
    assert shown["RateLimit"] == '"per_number-30s";r=0;t=13, "total-1m";r=0;t=5'
    assert shown["RateLimit-Policy"] == headers(QUOTA)["RateLimit-Policy"]


def test_without_a_limit_there_are_no_headers() -> None:
    assert headers(Quota(())) == {}
