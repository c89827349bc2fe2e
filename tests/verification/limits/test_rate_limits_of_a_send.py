"""The limits that apply to a send."""

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


def of_sends(limits: list[Limit]) -> list[Limit]:
    return [limit for limit in limits if limit.is_of_sends]


def subjects(caller: Caller, own: str | None = None, **changes: str) -> set[str]:
    """Return the counted subjects for a send under these limits."""
    changed = Caller(caller.owner, caller.name, caller.scopes, is_test=caller.is_test, limits=own)
    limits = build_limits(settings(**changes)).of_send(changed, PHONE, "192.0.2.7")
    return {limit.subject for limit in of_sends(limits)}


def test_environment_key_has_no_limit_by_default() -> None:
    assert subjects(ENVIRONMENTS) == set()
    assert subjects(ENVIRONMENTS, limit_per_number="5/1h") == {"per_number +201001234567"}


def test_created_keys_have_the_default_limits() -> None:
    limits = of_sends(build_limits(settings()).of_send(HUDHUDS, PHONE, "192.0.2.7"))
    assert [limit.rates for limit in limits] == [NUMBER_DEFAULT, (Rate(1000, 600_000),)]
    assert names(limits) == ["per_number", "per_prefix"]


def test_wrong_codes_refuse_sends_of_created_keys_only() -> None:
    limits = build_limits(settings())
    (of_key,) = (one for one in limits.of_send(HUDHUDS, PHONE, None) if not one.is_of_sends)
    assert of_key.subject == "wrong_codes +201001234567 hh_live_abc123"
    assert of_key.rates == (Rate(10, 3_600_000), Rate(20, 86_400_000))
    assert all(one.is_of_sends for one in limits.of_send(ENVIRONMENTS, PHONE, None))


def test_a_setting_replaces_the_default_and_zero_switches_it_off() -> None:
    changed = subjects(HUDHUDS, limit_per_number="0", limit_per_prefix="7/1m")
    assert changed == {"per_prefix +20100123 1m"}


def test_own_limits_take_precedence_and_count_only_for_their_key() -> None:
    own = "per_number=1/1m per_prefix=0"
    changed = subjects(HUDHUDS, own, limit_per_number="5/1h", limit_per_prefix="7/1m")
    assert changed == {"per_number +201001234567 hh_live_abc123"}


def test_total_limit_applies_to_every_key() -> None:
    everything_off = " ".join(f"{kind}=0" for kind in KINDS)
    assert subjects(HUDHUDS, everything_off, limit_total="9/1h") == {"total 1h"}
    assert subjects(ENVIRONMENTS, limit_total="9/1h") == {"total 1h"}


def test_each_kind_counts_its_own_subject() -> None:
    each = {f"limit_{kind}": "5/1h" for kind in KINDS}
    assert subjects(ENVIRONMENTS, **each) == {
        "per_number +201001234567",
        "per_key environment 1h",
        "per_client_ip 192.0.2.7 1h",
        "per_country EG 1h",
        "per_prefix +20100123 1h",
    }


def test_sends_of_test_keys_count_separately_from_live_ones() -> None:
    tester = Caller("hh_test_abc123", "tests", frozenset({"send"}), is_test=True)
    assert subjects(tester, limit_total="9/1h", limit_per_prefix="0") == {
        "per_number +201001234567 test",
        "total test 1h",
    }


def test_limits_of_a_missing_number_or_address_are_skipped() -> None:
    each = {f"limit_{kind}": "5/1h" for kind in KINDS}
    limits = build_limits(settings(**each))
    assert "per_client_ip" not in names(limits.of_send(HUDHUDS, PHONE, None))
    assert names(limits.of_link(HUDHUDS, None, None)) == ["per_key"]


def test_links_have_a_limit_per_number_of_their_own_for_every_key() -> None:
    limits = build_limits(settings())
    for who in (HUDHUDS, ENVIRONMENTS):
        (one,) = limits.of_link(who, PHONE, None)
        assert one.subject == "links +201001234567"
        assert one.rates == (Rate(10, 3_600_000), Rate(20, 86_400_000))
    assert limits.of_link(HUDHUDS, None, None) == []
    assert build_limits(settings(limit_links="0")).of_link(ENVIRONMENTS, PHONE, None) == []


def test_addresses_of_one_ipv6_customer_count_as_one() -> None:
    limits = build_limits(settings(limit_per_client_ip="5/1h"))
    one = limits.of_send(ENVIRONMENTS, PHONE, "2001:db8::1")
    other = limits.of_send(ENVIRONMENTS, PHONE, "2001:db8::ffff")
    assert one == other


def test_number_limits_are_exact_and_others_count_in_sixtieths() -> None:
    both = build_limits(settings(limit_per_number="1/1h", limit_total="1/1h,5/1d"))
    assert [limit.grain_ms for limit in both.of_send(ENVIRONMENTS, PHONE, None)] == [
        1,
        60_000,
        1440_000,
    ]
