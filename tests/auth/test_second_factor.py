"""The second factor: confirmed by a code; each code works once."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from sqlalchemy import select, text

from hudhud.auth import second_factor
from hudhud.auth.second_factor import PURPOSE, STEP_MS, Means, Setup
from hudhud.core.crypto import Cipher, SealingError
from hudhud.db.engine import Database
from hudhud.db.tables import recovery_codes, second_factors

NOW = 1_800_000_000_000
CIPHER = Cipher(PURPOSE, "the secret of these tests")


def set_up(database: Database, cipher: Cipher = CIPHER) -> Setup:
    with database.write() as connection:
        second_factor.begin_setup(connection, cipher, "admin")
        setup = second_factor.pending(connection, cipher, "admin")
    assert setup is not None
    return setup


def confirm(database: Database, code: str, *, now: int = NOW) -> list[str] | None:
    with database.write() as connection:
        return second_factor.confirm(connection, CIPHER, "admin", code, now=now)


def turn_on(database: Database) -> tuple[str, list[str]]:
    """Enable it two steps ago; return the secret and the recovery codes."""
    setup = set_up(database)
    codes = confirm(database, code_of(setup.secret, -2), now=NOW - 2 * STEP_MS)
    assert codes is not None
    return setup.secret, codes


def code_of(secret: str, steps: int = 0) -> str:
    """Return the authenticator's code so many steps after `NOW`."""
    return pyotp.TOTP(secret).at((NOW + steps * STEP_MS) // 1000)


def spend(database: Database, code: str, *, cipher: Cipher = CIPHER) -> Means | None:
    with database.write() as connection:
        return second_factor.spend(connection, cipher, "admin", code, now=NOW)


def is_on(database: Database) -> bool:
    with database.read() as connection:
        return second_factor.is_on(connection, "admin")


def test_second_factor_is_on_only_after_confirmation(database: Database) -> None:
    assert not is_on(database)
    setup = set_up(database)
    assert not is_on(database)
    assert confirm(database, "000000") is None
    assert not is_on(database)
    assert confirm(database, code_of(setup.secret)) is not None
    assert is_on(database)
    with database.read() as connection:
        assert second_factor.pending(connection, CIPHER, "admin") is None


def test_uri_names_the_account(database: Database) -> None:
    setup = set_up(database)
    address = urlsplit(setup.address)
    assert (address.scheme, address.netloc, address.path) == ("otpauth", "totp", "/Hudhud:admin")
    assert parse_qs(address.query) == {"secret": [setup.secret], "issuer": ["Hudhud"]}


def test_restarted_setup_creates_another_secret_until_confirmed(database: Database) -> None:
    first, second = set_up(database), set_up(database)
    assert first.secret != second.secret
    assert confirm(database, code_of(second.secret)) is not None
    with database.write() as connection:
        second_factor.begin_setup(connection, CIPHER, "admin")
    assert spend(database, code_of(second.secret, 1)) == "app"


def test_secret_is_sealed_and_recovery_codes_are_stored_as_digests(database: Database) -> None:
    secret, codes = turn_on(database)
    with database.read() as connection:
        rows = [
            str(tuple(row))
            for table in (second_factors, recovery_codes)
            for row in connection.execute(select(table))
        ]
    kept = "".join(rows)
    assert secret not in kept
    assert not any(code in kept for code in codes)


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_clock_may_be_one_step_off(database: Database, steps: int) -> None:
    secret, _ = turn_on(database)
    assert spend(database, code_of(secret, steps)) == "app"


@pytest.mark.parametrize("steps", [-2, 2, 100])
def test_code_of_another_time_is_rejected(database: Database, steps: int) -> None:
    secret, _ = turn_on(database)
    assert spend(database, code_of(secret, steps)) is None


def test_each_code_works_once_and_invalidates_earlier_ones(database: Database) -> None:
    secret, _ = turn_on(database)
    assert spend(database, code_of(secret)) == "app"
    assert spend(database, code_of(secret)) is None
    assert spend(database, code_of(secret, -1)) is None
    assert spend(database, code_of(secret, 1)) == "app"


def test_confirmation_code_cannot_be_reused(database: Database) -> None:
    setup = set_up(database)
    assert confirm(database, code_of(setup.secret)) is not None
    assert spend(database, code_of(setup.secret)) is None


def test_same_code_used_simultaneously_works_once(database: Database) -> None:
    secret, _ = turn_on(database)
    with ThreadPoolExecutor(4) as threads:
        means = list(threads.map(lambda _: spend(database, code_of(secret)), range(8)))
    assert sorted(means, key=str) == [None] * 7 + ["app"]


def test_each_recovery_code_works_once(database: Database) -> None:
    _, codes = turn_on(database)
    assert len(set(codes)) == 10
    assert spend(database, codes[0]) == "recovery code"
    assert spend(database, codes[0]) is None
    assert spend(database, f" {codes[1].upper().replace('-', ' ')}\n") == "recovery code"
    with database.read() as connection:
        assert second_factor.recovery_codes_left(connection, "admin") == 8


@pytest.mark.parametrize("typed", ["", " ", "12345", "1234567", "x" * 10_000, "١٢٣٤٥٦", "\0", "é"])
def test_malformed_codes_are_rejected(database: Database, typed: str) -> None:
    turn_on(database)
    assert spend(database, typed) is None


def test_code_may_be_typed_in_groups(database: Database) -> None:
    secret, _ = turn_on(database)
    code = code_of(secret)
    assert spend(database, f"{code[:3]} {code[3:]}") == "app"


def test_no_code_is_accepted_while_it_is_off(database: Database) -> None:
    setup = set_up(database)
    assert spend(database, code_of(setup.secret)) is None


def test_turning_it_off_deletes_everything(database: Database) -> None:
    secret, codes = turn_on(database)
    with database.write() as connection:
        assert second_factor.turn_off(connection, "admin")
        assert not second_factor.turn_off(connection, "admin")
    assert not is_on(database)
    assert spend(database, code_of(secret)) is None
    assert spend(database, codes[0]) is None


def test_second_factor_survives_a_change_of_the_secret(database: Database) -> None:
    secret, _ = turn_on(database)
    rotating = Cipher(PURPOSE, "the secret after it", "the secret of these tests")
    assert spend(database, code_of(secret), cipher=rotating) == "app"
    afterwards = Cipher(PURPOSE, "the secret after it")
    assert spend(database, code_of(secret, 1), cipher=afterwards) == "app"


def test_recovery_codes_work_after_losing_the_secret(database: Database) -> None:
    secret, codes = turn_on(database)
    other = Cipher(PURPOSE, "quite another secret")
    with pytest.raises(SealingError):
        spend(database, code_of(secret), cipher=other)
    assert spend(database, codes[0], cipher=other) == "recovery code"


def test_secret_moved_to_another_admin_does_not_open(database: Database) -> None:
    set_up(database)
    with database.write() as connection:
        connection.execute(text("UPDATE second_factors SET username = 'other'"))
        with pytest.raises(SealingError):
            second_factor.pending(connection, CIPHER, "other")
