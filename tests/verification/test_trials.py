"""Test codes of the admin: whose they are, what they count for, and when they are shown."""

from typing import Any

import pytest
from sqlalchemy import func, select

from conftest import settings
from hudhud import app
from hudhud.auth.caller import ADMIN
from hudhud.core.errors import NotAllowed, NotFound
from hudhud.core.phones import Phone
from hudhud.db.engine import Database
from hudhud.db.tables import conversions, events, verifications
from hudhud.verification import trials
from hudhud.verification.build import build_code_cipher, build_countries, build_templates
from hudhud.verification.check import Check, Checked, CodeChecker
from hudhud.verification.limits.rate_limits import LimitReached, Limits
from hudhud.verification.new_verification import Accepted
from hudhud.verification.trials import Trial, Trials
from hudhud.webhooks import endpoints
from support import queued, verifying
from support.queued import NOW, PHONE, SECRET, caller

SHOP = caller("shop", "send", "verify", "read")
ROOT = caller("root", "admin")


class Desk:
    """The test codes of an installation at a chosen time."""

    def __init__(self, database: Database, **changes: Any) -> None:
        chosen = settings(**{"channel": "sandbox", "session_secret": SECRET, **changes})
        cipher = build_code_cipher(chosen)
        countries = build_countries(chosen, database)
        self.now = NOW
        self.database = database
        self.cipher = cipher
        self.trials = Trials(
            app.build_starter(chosen, cipher, build_templates(chosen)),
            app.build_acceptor(chosen, database, cipher, countries, lambda: self.now),
            CodeChecker(cipher, Limits({}), 3, lambda: self.now),
        )

    def send(self, phone: str = PHONE) -> Accepted:
        with self.database.write() as connection:
            return self.trials.send(connection, Phone(phone, "EG"), request_id="r", now=self.now)

    def check(self, job: int, typed: str) -> Checked:
        with self.database.write() as connection:
            return self.trials.check(connection, job=job, typed=typed)

    def newest(self) -> Trial | None:
        with self.database.read() as connection:
            return trials.newest(connection, now=self.now)

    def is_fresh(self, jobs: int, *, has_sent: bool = False) -> bool:
        with self.database.read() as connection:
            return trials.is_fresh(connection, jobs=jobs, has_sent=has_sent)

    def code_of(self, job: int) -> str:
        row = queued.verification_of(self.database, job)
        return self.cipher.codes.open(row.id, row.code_sealed)


def count(database: Database, table: Any) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def test_test_code_belongs_to_the_admin_and_its_answer_has_no_code(database: Database) -> None:
    accepted = Desk(database).send()
    row = queued.verification_of(database, accepted.message_id)
    assert (row.api_key, row.hides_code, accepted.code) == (ADMIN, True, None)
    assert queued.stored(database, accepted.message_id).status == "queued"


def test_right_code_is_approved_once_and_wrong_ones_are_counted(database: Database) -> None:
    desk = Desk(database)
    job = desk.send().message_id
    code = desk.code_of(job)
    wrong = desk.check(job, "x")
    assert (wrong.is_valid, wrong.attempts_remaining) == (False, 2)
    assert desk.check(job, f" {code[:2]}-{code[2:]}").is_valid
    with pytest.raises(Exception, match="used already"):
        desk.check(job, code)


def test_conversion_guard_counts_neither_start_nor_approval(database: Database) -> None:
    desk = Desk(database)
    job = desk.send().message_id
    desk.check(job, "x")
    assert desk.check(job, desk.code_of(job)).is_valid
    assert count(database, conversions) == 0
    verifying.accepted(database, SHOP, phone="+201001110000")
    assert count(database, conversions) == 1


def test_admin_key_that_checks_a_test_code_counts_nothing_either(database: Database) -> None:
    job = Desk(database).send().message_id
    verifying.check(database, Check(ROOT, "x", job_id=job))
    assert count(database, conversions) == 0


def test_job_of_a_key_cannot_be_checked_as_a_test_code(database: Database) -> None:
    job = verifying.accepted(database, SHOP).message_id
    with pytest.raises(NotFound):
        Desk(database).check(job, "1234")


def test_test_code_leaves_the_codes_of_keys_valid(database: Database) -> None:
    job = verifying.accepted(database, SHOP).message_id
    Desk(database).send()
    assert queued.verification_of(database, job).status == "pending"


def test_webhooks_of_keys_are_not_called(database: Database) -> None:
    desk, kinds = Desk(database), ["verification.created", "verification.approved"]
    cipher = app.build_webhook_cipher(settings(session_secret=SECRET))

    def add(owner: str | None) -> None:
        with database.write() as connection:
            endpoints.add(
                connection,
                cipher,
                url="https://shop.example/hudhud",
                kinds=kinds,
                owner=owner,
                now=NOW,
            )

    add("shop")
    job = desk.send().message_id
    assert count(database, events) == 0
    add(None)  # the operator's own endpoint, for the events of everyone
    desk.check(job, desk.code_of(job))
    assert count(database, events) == 1


def test_limits_of_the_settings_apply(database: Database) -> None:
    desk = Desk(database)
    desk.send()
    with pytest.raises(LimitReached) as refused:
        desk.send()
    assert (refused.value.policy.name, str(refused.value.policy.rate)) == ("per_number", "1/30s")


def test_denied_countries_get_no_test_code(database: Database) -> None:
    with pytest.raises(NotAllowed):
        Desk(database, denied_countries=("EG",)).send()
    assert count(database, verifications) == 0


def test_newest_test_code_is_shown_for_an_hour_and_checkable_while_valid(
    database: Database,
) -> None:
    desk = Desk(database)
    assert desk.newest() is None
    job = desk.send().message_id
    verifying.accepted(database, SHOP, phone="+201001110000")
    shown = desk.newest()
    assert shown is not None
    assert (shown.job, shown.phone, shown.delivery, shown.is_valid) == (job, PHONE, "queued", True)
    desk.now += 301_000
    over = desk.newest()
    assert over is not None
    assert (over.is_valid, over.is_approved) == (False, False)
    desk.now = NOW + trials.SHOWN_MS + 1
    assert desk.newest() is None


def test_number_of_a_test_code_is_found_by_its_job_alone(database: Database) -> None:
    job = Desk(database).send().message_id
    other = verifying.accepted(database, SHOP, phone="+201001110000").message_id
    with database.read() as connection:
        assert trials.phone_of(connection, job) == PHONE
        assert trials.phone_of(connection, other) is None


def test_installation_is_fresh_until_a_test_code_is_typed(database: Database) -> None:
    desk = Desk(database)
    assert desk.is_fresh(0)
    job = desk.send().message_id
    assert desk.is_fresh(1)
    desk.check(job, desk.code_of(job))
    assert not desk.is_fresh(1)


def test_installation_is_not_fresh_with_codes_of_callers_or_deleted_ones(
    database: Database,
) -> None:
    desk = Desk(database)
    assert not desk.is_fresh(0, has_sent=True)
    desk.send()
    verifying.accepted(database, SHOP, phone="+201001110000")
    assert not desk.is_fresh(2)
    assert not desk.is_fresh(trials.MOST_WHILE_FRESH + 1)
