"""Check typed codes: one success per code, and few wrong attempts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Row, and_, bindparam, case, select, update

from hudhud.auth import api_keys
from hudhud.auth.caller import Caller
from hudhud.core.clock import DAY_MS, now_ms
from hudhud.core.crypto import CodeCipher, SealingError
from hudhud.core.errors import Conflict, Gone, NotFound, Refused, TooMany
from hudhud.db.locks import lock_numbers
from hudhud.db.tables import messages, verifications
from hudhud.messages import whatsapp_accounts
from hudhud.verification import lifecycle
from hudhud.verification.codes import readings
from hudhud.verification.idempotency import IdempotentRequest
from hudhud.verification.ids import first_id_since
from hudhud.verification.kept_answers import KeptAnswers
from hudhud.verification.lifecycle import (
    APPROVED,
    EXPIRED,
    MAX_ATTEMPTS_REACHED,
    OVER,
    PENDING,
    Ended,
    Status,
)
from hudhud.verification.limits import conversions
from hudhud.verification.limits.rate_limits import Limits
from hudhud.verification.limits.wrong_codes import WrongCodes

ENDPOINT: Final = "verify"
# A group of checks holds up the event loop for about 10 ms (`db/group_commit.py`).
CHECKED_AT_ONCE: Final = 20
NOTHING = "There is no pending verification for this. Send a new code."
USED_UP = "Too many wrong codes were tried. Send a new one."
USED = "This code was used already."


@dataclass(frozen=True, slots=True)
class Check:
    """A typed code, and one of verification id, job or phone.

    A number that is not negative may be a code that has lost its leading zeros.
    """

    caller: Caller
    typed: str | int
    verification_id: str | None = None
    job_id: int | None = None
    phone: str | None = None
    idempotent: IdempotentRequest | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a check, and the verification's state after it.

    `whatsapp_number` is WhatsApp's form of the number that a link proved.
    """

    verification_id: str
    is_valid: bool
    status: Status
    attempts_remaining: int
    proved_phone: str | None
    whatsapp_number: str | None = None
    is_repeated: bool = False


@dataclass(frozen=True, slots=True)
class CheckState:
    """State of a verification that decides a check, without database access."""

    status: Status
    attempts: int
    expires_at: int

    def after(self, *, is_right: bool, most: int, now: int) -> "CheckState | Refused":
        """Return the state after a check, or the reason to refuse it."""
        if self.status == APPROVED:
            return Conflict(USED, "already_used")
        if self.status == MAX_ATTEMPTS_REACHED:
            return TooMany(USED_UP, "max_attempts_reached", None)
        if self.status == EXPIRED or (self.status == PENDING and self.expires_at <= now):
            return Gone(OVER, "expired")
        if self.status != PENDING:
            return NotFound(NOTHING, "nothing_pending")
        if is_right:
            return replace(self, status=APPROVED)
        attempts = self.attempts + 1
        return replace(
            self, attempts=attempts, status=MAX_ATTEMPTS_REACHED if attempts >= most else PENDING
        )


_IS_WAITING = and_(
    verifications.c.status == PENDING,
    verifications.c.expires_at > bindparam("now", type_=BigInteger),
    verifications.c.code_sealed.is_not(None),
)
# A person's newest verification of the last day, preferably pending. Built once: to build it for
# each check would take as long as to run it.
_NEWEST = (
    select(verifications.c.id)
    .where(
        verifications.c.phone.in_(bindparam("phones", expanding=True)),
        verifications.c.id >= bindparam("since"),
    )
    .order_by(case((_IS_WAITING, 0), else_=1), verifications.c.id.desc())
    .limit(1)
)
_NEWEST_OF_OWNER = _NEWEST.where(verifications.c.api_key == bindparam("owner"))


class CodeChecker:
    """Checks codes, many in one transaction."""

    def __init__(
        self,
        cipher: CodeCipher,
        limits: Limits,
        most_attempts: int,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._cipher = cipher
        self._kept = KeptAnswers(cipher.answers, Checked)
        self._limits = limits
        self._most = most_attempts
        self._clock = clock

    def write(self, connection: Connection, group: Sequence[Check]) -> list[Checked | Exception]:
        """Check a group in order; return results, or errors for refused checks.

        A check repeated under the same Idempotency-Key gets its first answer again.
        """
        now = self._clock()
        self._kept.lock(connection, ENDPOINT, [check.idempotent for check in group])
        ids = [_verification_of(connection, check, now) for check in group]
        found = _Found(connection, [one for one in ids if one is not None], self._limits, now)
        found.read_wrong_codes(connection, group, ids)
        results: list[Checked | Exception] = []
        for check, one in zip(group, ids, strict=True):
            try:
                results.append(self._answer(connection, check, found, one, now))
            except (Refused, SealingError) as error:
                results.append(error)
        _note_started(connection, found)
        _write_down(connection, found, now)
        found.wrong_codes.write(connection)
        return results

    def _answer(
        self, connection: Connection, check: Check, found: "_Found", one: str | None, now: int
    ) -> Checked:
        """Check a code, unless this is a repetition. Raises Refused or SealingError."""
        first = self._kept.find(connection, ENDPOINT, check.idempotent, now=now)
        if first is not None:
            return first
        row = found.rows.get(one or "")
        if row is None or not check.caller.sees(row.api_key) or _has_no_code_yet(row):
            raise NotFound(NOTHING, "nothing_pending")
        checked = self._check(check, row, found, now)
        repeated = replace(checked, is_repeated=True)
        self._kept.keep(connection, ENDPOINT, check.idempotent, repeated, now=now)
        return checked

    def _check(self, check: Check, row: Row[Any], found: "_Found", now: int) -> Checked:
        found.wrong_codes.refuse(row, check.caller)
        is_right = self._cipher.matches(row.code_digest, row.id, *readings(check.typed))
        after = found.standings[row.id].after(is_right=is_right, most=self._most, now=now)
        if isinstance(after, Refused):
            raise after
        if not is_right:
            found.wrong_codes.add(row, check.caller)
        found.standings[row.id] = after
        found.callers[row.id] = check.caller
        return Checked(
            verification_id=row.id,
            is_valid=after.status == APPROVED,
            status=after.status,
            attempts_remaining=max(0, self._most - after.attempts),
            proved_phone=row.proved_phone,
            whatsapp_number=found.whatsapp_numbers.get(row.proved_phone or ""),
        )


class _Found:
    """The verifications of a group, locked, and the results of its checks so far."""

    def __init__(
        self, connection: Connection, ids: Sequence[str], limits: Limits, now: int
    ) -> None:
        people = _people_of(connection, ids)
        # Rows are locked after numbers, as in a send.
        lock_numbers(connection, {number for numbers in people.values() for number in numbers})
        self.rows = _locked(connection, ids)
        self.wrong_codes = WrongCodes(limits, people, now)
        self.standings = {one: _state_of(row) for one, row in self.rows.items()}
        self.callers: dict[str, Caller] = {}  # of one check of each checked verification
        proved = [row.proved_phone for row in self.rows.values() if row.proved_phone]
        self.whatsapp_numbers = whatsapp_accounts.whatsapp_numbers(connection, proved)

    def read_wrong_codes(
        self, connection: Connection, group: Sequence[Check], ids: Sequence[str | None]
    ) -> None:
        """Read the counts of wrong codes for the group's checks."""
        pairs = [(self.rows.get(one or ""), check) for check, one in zip(group, ids, strict=True)]
        checks = [(row, check.caller) for row, check in pairs if row is not None]
        self.wrong_codes.read(connection, checks)


def _state_of(row: Row[Any]) -> CheckState:
    return CheckState(row.status, row.attempts, row.expires_at)


def _has_no_code_yet(row: Row[Any]) -> bool:
    """Return whether its link is unused, so that there is no code."""
    return row.status == PENDING and row.code_sealed is None


def _note_started(connection: Connection, found: _Found) -> None:
    """Count the starts that only now, with a first check, count towards conversion."""
    for one, caller in found.callers.items():
        row = found.rows[one]
        if row.attempts == 0 and _counts_once_checked(connection, row, caller):
            conversions.note_started(connection, [row.phone], now=row.created_at)


def _counts_once_checked(connection: Connection, row: Row[Any], caller: Caller) -> bool:
    """Return whether its start was not counted because the owner might compare the code."""
    if row.link_mode is not None or api_keys.only_tests(row.api_key):
        return False
    if caller.owner == row.api_key:
        return not caller.checks_codes_here
    return not api_keys.owning(connection, row.api_key).checks_codes_here


def _write_down(connection: Connection, found: _Found, now: int) -> None:
    canceled = 0
    for one, after in found.standings.items():
        before = found.rows[one]
        if after.attempts != before.attempts:
            connection.execute(
                update(verifications)
                .where(verifications.c.id == one)
                .values(attempts=after.attempts)
            )
        if after.status != before.status:
            canceled += _end(connection, one, after.status, now).canceled
    Ended(canceled=canceled).count(connection, now=now)


def _end(connection: Connection, verification_id: str, status: Status, now: int) -> Ended:
    if status == APPROVED:
        return lifecycle.approve(connection, verification_id, now=now)
    return lifecycle.exhaust_attempts(connection, verification_id, now=now)


def _people_of(connection: Connection, ids: Sequence[str]) -> Mapping[str, frozenset[str]]:
    """Return the numbers of each verification's person, by the verification's number."""
    if not ids:
        return {}
    phones = select(verifications.c.phone).where(verifications.c.id.in_(ids)).distinct()
    return whatsapp_accounts.numbers_of(connection, connection.scalars(phones))


def _locked(connection: Connection, ids: Sequence[str]) -> dict[str, Row[Any]]:
    """Lock the verifications in order of ids, which avoids deadlocks."""
    if not ids:
        return {}
    found = select(verifications).where(verifications.c.id.in_(sorted(set(ids))))
    rows = connection.execute(found.order_by(verifications.c.id).with_for_update())
    return {row.id: row for row in rows}


def _verification_of(connection: Connection, check: Check, now: int) -> str | None:
    if check.verification_id is not None:
        return check.verification_id
    if check.job_id is not None:
        of_job = select(messages.c.verification_id).where(messages.c.id == check.job_id)
        return connection.scalar(of_job)
    if check.phone is None:
        return None
    phones = whatsapp_accounts.all_forms(connection, check.phone)
    since = first_id_since(now - DAY_MS)
    values = {"phones": list(phones), "since": since, "now": now, "owner": check.caller.owner}
    is_admin = "admin" in check.caller.scopes
    return connection.scalar(_NEWEST if is_admin else _NEWEST_OF_OWNER, values)
