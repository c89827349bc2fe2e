"""A database accepts only its own secret or a named successor."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text

from conftest import settings
from hudhud.app import credentials_of
from hudhud.auth.first_credentials import FirstCredentials, ensure_credentials
from hudhud.auth.secret_check import check_secret, stored_check
from hudhud.core.errors import StartRefused
from hudhud.core.secret import proof_of
from hudhud.db.engine import Database
from hudhud.verification.build import secret_of

ONE = "secret number one, long enough"
TWO = "secret number two, long enough"
KNOWN = {"api_key": "known", "admin_password": "known"}


def ensure(database: Database, **changes: Any) -> FirstCredentials | None:
    """Start once with these settings."""
    chosen = settings(**{"session_secret": ONE, **changes})
    return ensure_credentials(
        database,
        credentials_of(chosen),
        lambda _made: None,
        secret=secret_of(chosen),
        previous_secret=chosen.session_secret_previous,
    )


def stored(database: Database, query: str) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(text(query)))


def test_check_value_does_not_reveal_the_secret(database: Database) -> None:
    ensure(database, **KNOWN)
    ((value,),) = stored(database, "SELECT value FROM installation WHERE name = 'secret_check'")
    assert value == proof_of(ONE)
    assert ONE not in value
    assert len(value) == 64


def test_same_secret_starts_again(database: Database) -> None:
    ensure(database, **KNOWN)
    assert ensure(database, **KNOWN) is None


def test_another_secret_is_refused_and_creates_nothing(database: Database) -> None:
    ensure(database, **KNOWN)
    with pytest.raises(StartRefused, match="SESSION_SECRET_PREVIOUS"):
        ensure(database, session_secret=TWO)
    assert stored(database, "SELECT * FROM api_keys") == []
    assert ensure(database, **KNOWN) is None


def test_secret_is_changed_by_naming_the_previous_one(database: Database) -> None:
    ensure(database, **KNOWN)
    ensure(database, **KNOWN, session_secret=TWO, session_secret_previous=ONE)
    assert ensure(database, **KNOWN, session_secret=TWO) is None
    with pytest.raises(StartRefused):
        ensure(database, **KNOWN, session_secret=ONE)


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_processes_that_start_at_once_agree_on_the_secret(database: Database) -> None:
    together = Barrier(6, timeout=20)

    def check() -> None:
        with database.write() as connection:
            connection.execute(text("SELECT 1"))
            together.wait()
            check_secret(connection, ONE, None)

    with ThreadPoolExecutor(6) as threads:
        for started in [threads.submit(check) for _ in range(6)]:
            started.result()
    with database.read() as connection:
        assert stored_check(connection) == proof_of(ONE)
