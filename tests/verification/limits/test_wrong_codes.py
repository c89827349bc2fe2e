"""The limit of wrong codes for a number: over all codes of a key, by any name of the code."""

from typing import Any

import pytest
from sqlalchemy import select

from hudhud.auth.caller import Caller
from hudhud.channels.base import Account
from hudhud.core.clock import DAY_MS, HOUR_MS
from hudhud.core.rates import parse_rates
from hudhud.db.engine import Database
from hudhud.db.tables import limit_counts, verifications
from hudhud.messages import whatsapp_accounts
from hudhud.verification.check import Check, Checked
from hudhud.verification.limits import rate_limits
from hudhud.verification.limits.rate_limits import Limits, TooManyWrongCodes
from hudhud.verification.new_verification import Accepted
from support import verifying
from support.keyed_api import wrong
from support.queued import NOW, PHONE, caller
from support.verifying import OF_ENVIRONMENT, OTHER_SHOP, SHOP, accepted, start

USUAL = Limits({})
SECOND = 1000


def guess(
    database: Database,
    one: Accepted,
    who: Caller = SHOP,
    *,
    now: int = NOW,
    limits: Limits = USUAL,
    typed: str | None = None,
    **names: Any,
) -> Checked | Exception:
    """Type a wrong code, or `typed`, for a verification."""
    named = names or {"verification_id": one.verification_id}
    typed = typed or ("0000" if one.code != "0000" else "1111")
    check = Check(who, typed, **named)
    (result,) = verifying.check(database, check, most=10, now=now, limits=limits)
    return result


def wrong_codes(database: Database, count: int, who: Caller = SHOP, *, now: int = NOW) -> Accepted:
    """Type this many wrong codes, each for a new verification; return the last one."""
    for number in range(count):
        one = accepted(database, who, now=now + number)
        result = guess(database, one, who, now=now + number)
        assert isinstance(result, Checked), result
    return one


def refused(result: object) -> TooManyWrongCodes:
    assert isinstance(result, TooManyWrongCodes), result
    return result


def test_new_codes_give_no_new_attempts(database: Database) -> None:
    one = wrong_codes(database, 9)
    assert isinstance(guess(database, one, now=NOW + 9), Checked)
    error = refused(guess(database, one, now=NOW + 10, typed=one.code))
    assert (error.word, error.retry_after) == ("too_many_wrong_codes", 3600)
    (sent,) = start(database, (SHOP, verifying.request()), now=NOW + SECOND)
    assert refused(sent).retry_after == 3600 - 1


def test_limit_ends_as_wrong_codes_grow_old(database: Database) -> None:
    one = wrong_codes(database, 10)
    later = NOW + HOUR_MS + 1
    new = accepted(database, now=later)
    # The first two are older than an hour.
    for number in range(2):
        assert isinstance(guess(database, new, now=later), Checked), number
    refused(guess(database, new, now=later))
    assert one.verification_id != new.verification_id


def test_at_most_twenty_wrong_codes_in_a_day(database: Database) -> None:
    wrong_codes(database, 10)
    wrong_codes(database, 10, now=NOW + 2 * HOUR_MS)
    error = refused(start(database, (SHOP, verifying.request()), now=NOW + 4 * HOUR_MS)[0])
    assert error.retry_after == (DAY_MS - 4 * HOUR_MS) // 1000
    assert "at most 20 in 1d" in str(error)


@pytest.mark.parametrize("name", ["verification_id", "job_id", "phone"])
def test_every_name_of_a_code_is_limited(database: Database, name: str) -> None:
    one = wrong_codes(database, 10)
    names = {"verification_id": one.verification_id, "job_id": one.message_id, "phone": PHONE}
    named: dict[str, Any] = {name: names[name]}
    refused(guess(database, one, typed=one.code, now=NOW + 10, **named))


def test_simultaneous_guesses_are_limited_together(database: Database) -> None:
    one = accepted(database)
    group = [Check(SHOP, wrong(one.code or ""), verification_id=one.verification_id)] * 12
    results = verifying.check(database, *group, most=20, now=NOW, limits=USUAL)
    assert [isinstance(result, Checked) for result in results] == [True] * 10 + [False] * 2


def test_other_numbers_and_keys_are_not_affected(database: Database) -> None:
    wrong_codes(database, 10)
    assert isinstance(accepted(database, OTHER_SHOP), Accepted)
    assert isinstance(accepted(database, phone="+201005550002"), Accepted)


def test_numbers_of_one_account_are_limited_together(database: Database) -> None:
    other = "+201005550002"
    with database.write() as connection:
        for phone in (PHONE, other):
            account = Account(phone=PHONE, lid="1001")
            whatsapp_accounts.remember(connection, phone=phone, account=account)
    wrong_codes(database, 10)
    refused(start(database, (SHOP, verifying.request(other)), now=NOW + SECOND)[0])


def test_right_code_is_not_counted_and_resets_nothing(database: Database) -> None:
    wrong_codes(database, 9)
    one = accepted(database, now=NOW + 9)
    approved = guess(database, one, typed=one.code, now=NOW + 10)
    assert isinstance(approved, Checked)
    assert approved.is_valid
    wrong_codes(database, 1, now=NOW + 11)
    refused(start(database, (SHOP, verifying.request()), now=NOW + SECOND)[0])


def test_sends_of_the_environment_are_not_refused_but_its_checks_are(database: Database) -> None:
    wrong_codes(database, 10, OF_ENVIRONMENT)
    one = accepted(database, OF_ENVIRONMENT, now=NOW + 20)
    refused(guess(database, one, OF_ENVIRONMENT, now=NOW + 21))


def test_code_of_a_link_can_be_checked_meanwhile(database: Database) -> None:
    one = wrong_codes(database, 10)
    with database.write() as connection:
        of_link = verifications.update().where(verifications.c.id == one.verification_id)
        connection.execute(of_link.values(link_mode="reply"))
    result = guess(database, one, typed=one.code, now=NOW + 10)
    assert isinstance(result, Checked)
    assert result.is_valid


def test_key_has_its_own_limit_or_none(database: Database) -> None:
    strict = caller("strict", "send", "verify", limits="per_number=0 per_prefix=0 wrong_codes=1/1h")
    free = caller("free", "send", "verify", limits="per_number=0 per_prefix=0 wrong_codes=0")
    wrong_codes(database, 1, strict)
    refused(start(database, (strict, verifying.request()), now=NOW + SECOND)[0])
    wrong_codes(database, 25, free)


def test_settings_change_the_limit(database: Database) -> None:
    one = accepted(database)
    strict = Limits({"wrong_codes": parse_rates("2/1h")})
    results = [guess(database, one, now=NOW + number, limits=strict) for number in range(3)]
    assert [isinstance(result, Checked) for result in results] == [True, True, False]


def test_counts_are_forgotten_with_the_number(database: Database) -> None:
    wrong_codes(database, 3)
    wrong_codes(database, 3, OTHER_SHOP)
    with database.write() as connection:
        assert rate_limits.forget(connection, PHONE) == 6
        assert connection.scalars(select(limit_counts.c.subject)).all() == []
