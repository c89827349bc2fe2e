"""Which limits a send is under."""

from conftest import settings
from hudhud.app import build_limits
from hudhud.auth.caller import ENVIRONMENT, Caller
from hudhud.core.phones import Phone
from hudhud.core.rates import KINDS, Rate
from hudhud.verification.limits.rate_limits import Limit

PHONE = Phone("+201001234567", "EG")
HUDHUDS = Caller("hh_live_abc123", "shop", frozenset({"send", "verify"}))
ENVIRONMENTS = Caller(ENVIRONMENT, "API_KEY", frozenset({"send"}))
NUMBER_DEFAULT = (Rate(1, 30_000), Rate(5, 3_600_000), Rate(10, 86_400_000))


def names(limits: list[Limit]) -> list[str]:
    return [limit.name for limit in limits]


def subjects(caller: Caller, own: str | None = None, **changes: str) -> set[str]:
    """What is counted for a send of this caller under these settings and own limits."""
    changed = Caller(caller.owner, caller.name, caller.scopes, is_test=caller.is_test, limits=own)
    return {
        limit.subject
        for limit in build_limits(settings(**changes)).limits_for(changed, PHONE, "192.0.2.7")
    }


def test_the_key_of_the_environment_has_no_limit_unless_set() -> None:
    assert subjects(ENVIRONMENTS) == set()
    assert subjects(ENVIRONMENTS, limit_per_number="5/1h") == {"per_number +201001234567"}


def test_keys_made_by_hudhud_start_with_the_defaults() -> None:
    limits = build_limits(settings()).limits_for(HUDHUDS, PHONE, "192.0.2.7")
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
    limits = build_limits(settings(**each)).limits_for(HUDHUDS, None, None)
    assert names(limits) == ["per_key"]


def test_the_addresses_of_one_ipv6_customer_are_one() -> None:
    limits = build_limits(settings(limit_per_client_ip="5/1h"))
    one = limits.limits_for(ENVIRONMENTS, PHONE, "2001:db8::1")
    other = limits.limits_for(ENVIRONMENTS, PHONE, "2001:db8::ffff")
    assert one == other


def test_numbers_are_counted_to_the_millisecond_and_others_in_sixtieths() -> None:
    both = build_limits(settings(limit_per_number="1/1h", limit_total="1/1h,5/1d"))
    assert [limit.grain_ms for limit in both.limits_for(ENVIRONMENTS, PHONE, None)] == [
        1,
        60_000,
        1440_000,
    ]
