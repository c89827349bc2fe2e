"""The steps of a login: count, delay, check, begin a session.

Each database step is one transaction in a thread; none is open while a password is hashed.
"""

import asyncio
from dataclasses import dataclass

from sqlalchemy import Connection

from hudhud.auth import audit_log, login_attempts, second_factor, sessions
from hudhud.auth.login_attempts import Attempt
from hudhud.auth.second_factor import Means
from hudhud.auth.sessions import Session
from hudhud.core.clock import now_ms
from hudhud.core.crypto import SealingError
from hudhud.core.errors import HudhudError
from hudhud.core.sentences import Sentence, say
from hudhud.web.admin.login.access import access_of
from hudhud.web.admin.login.guard import Forbidden, address_of, token_of
from hudhud.web.admin.login.password_slots import Busy
from hudhud.web.http.request import AnyRequest
from hudhud.web.state import state_of
from hudhud.web.timing import timing_of

WRONG_PASSWORD = say("login.invalid")
CODE_NEEDED = "Second factor required"
WRONG_CODE = say("login.code_does_not_fit")
NOT_THE_OWNER = say("login.not_the_owner")
SEAL_LOST = say("login.seal_lost")

# The audit's detail of a login.
WITH_MEANS: dict[Means, Sentence] = {
    "app": say("login.with_app"),
    "recovery code": say("login.with_recovery_code"),
}
PASSWORD_WAS_WRONG = say("login.wrong_password")
CODE_WAS_WRONG = say("login.wrong_code")
LIMIT_REACHED = say("login.limit_reached")


class WrongPassword(HudhudError):
    """Name or password is wrong; the response does not reveal which."""


class CodeNeeded(HudhudError):
    """The password is right, but the second factor is required."""


class WrongCode(HudhudError):
    """The typed code or password is wrong, or the code was used."""


@dataclass(frozen=True, slots=True)
class LoginForm:
    """The values of the login form; `code` may be empty."""

    username: str
    password: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A new session and the token for its cookie."""

    token: str
    session: Session


@dataclass(frozen=True, slots=True)
class _Try:
    """A counted attempt, with the stored password at its start."""

    attempt: Attempt
    stored: str | None
    mark: bytes


class Login:
    """Checks the credentials of one request."""

    def __init__(self, request: AnyRequest) -> None:
        self._database = state_of(request).database
        self._access = access_of(request)
        self._longest_delay = timing_of(request).login_delay
        self._admin = self._access.password.username
        self._address = address_of(request)
        self._presented = token_of(request)

    async def log_in(self, given: LoginForm, *, may_be_incomplete: bool) -> NewSession:
        """Begin a session with name, password and, if required, a code.

        Without a required code the session is incomplete, if `may_be_incomplete`.
        Raises Busy, TooManyAttempts, WrongPassword, CodeNeeded, WrongCode or Forbidden.
        """
        self._access.password_slots.check_room()
        tried = await self._try(given.username)
        if not await self._is_password(given.username, given.password, tried):
            await asyncio.to_thread(self._fail, tried, given.username, PASSWORD_WAS_WRONG)
            raise WrongPassword(WRONG_PASSWORD)
        return await asyncio.to_thread(
            self._enter, tried, given.code, may_be_incomplete=may_be_incomplete
        )

    async def complete(self, code: str) -> NewSession:
        """Replace an incomplete session by a complete one with another token.

        Raises TooManyAttempts, CodeNeeded, WrongCode or Forbidden.
        """
        tried = await self._try(self._admin)
        return await asyncio.to_thread(self._enter, tried, code, may_be_incomplete=False)

    async def prove_again(self, typed: str) -> None:
        """Check that the admin knows the password or has the second factor.

        Raises Busy, TooManyAttempts or WrongCode.
        """
        self._access.password_slots.check_room()
        tried = await self._try(self._admin)
        if await asyncio.to_thread(self._is_code, typed) or await self._is_password(
            self._admin, typed, tried
        ):
            await asyncio.to_thread(self._release, tried)
            return
        await asyncio.to_thread(self._fail, tried, self._admin, CODE_WAS_WRONG)
        raise WrongCode(NOT_THE_OWNER)

    async def _try(self, username: str) -> _Try:
        await asyncio.to_thread(self._refuse_early)
        tried = await asyncio.to_thread(self._reserve, username)
        await asyncio.sleep(tried.attempt.delay)
        return tried

    async def _is_password(self, username: str, password: str, tried: _Try) -> bool:
        judge = self._access.password.is_right
        try:
            async with self._access.password_slots.hold():
                return await asyncio.to_thread(judge, username, password, stored=tried.stored)
        except Busy:
            await asyncio.to_thread(self._release, tried)
            raise

    def _refuse_early(self) -> None:
        """Refuse a locked-out address without taking the write lock, which codes need."""
        with self._database.read() as connection:
            login_attempts.check(connection, address=self._address, now=now_ms())

    def _reserve(self, username: str) -> _Try:
        with self._database.write() as connection:
            attempt = login_attempts.reserve(
                connection,
                address=self._address,
                username=username,
                now=now_ms(),
                longest_delay=self._longest_delay,
            )
            password = self._access.password
            return _Try(attempt, password.stored(connection), password.mark(connection))

    def _enter(self, tried: _Try, code: str, *, may_be_incomplete: bool) -> NewSession:
        with self._database.write() as connection:
            if not second_factor.is_on(connection, self._admin):
                return self._begin(connection, tried, detail=None)
            means = self._spend(connection, code) if code else None
            if means is not None:
                return self._begin(connection, tried, detail=WITH_MEANS[means])
            if not code:
                login_attempts.release(connection, tried.attempt)
            if not code and may_be_incomplete:
                return self._new_session(connection, tried, is_complete=False)
        if not code:
            raise CodeNeeded(CODE_NEEDED)
        self._fail(tried, self._admin, CODE_WAS_WRONG)
        raise WrongCode(WRONG_CODE)

    def _begin(self, connection: Connection, tried: _Try, *, detail: Sentence | None) -> NewSession:
        login_attempts.clear(connection, tried.attempt)
        audit_log.note(
            connection,
            who=self._admin,
            address=self._address,
            what="login",
            detail=detail,
            now=now_ms(),
        )
        return self._new_session(connection, tried, is_complete=True)

    def _new_session(self, connection: Connection, tried: _Try, *, is_complete: bool) -> NewSession:
        token, session = sessions.begin(
            connection,
            username=self._admin,
            password_mark=tried.mark,
            is_complete=is_complete,
            address=self._address,
            replaces=self._presented,
            now=now_ms(),
        )
        return NewSession(token, session)

    def _is_code(self, typed: str) -> bool:
        try:
            with self._database.write() as connection:
                return self._spend(connection, typed) is not None
        except Forbidden:  # the password still works
            return False

    def _spend(self, connection: Connection, code: str) -> Means | None:
        cipher = self._access.second_factors
        try:
            return second_factor.spend(connection, cipher, self._admin, code, now=now_ms())
        except SealingError:
            raise Forbidden(SEAL_LOST) from None

    def _release(self, tried: _Try) -> None:
        with self._database.write() as connection:
            login_attempts.release(connection, tried.attempt)

    def _fail(self, tried: _Try, username: str, reason: Sentence) -> None:
        with self._database.write() as connection:
            audit_log.note(
                connection,
                who=username,
                address=self._address,
                what="login_failed",
                outcome="failed",
                detail=LIMIT_REACHED if tried.attempt.is_last else reason,
                now=now_ms(),
            )
