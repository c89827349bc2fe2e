"""The steps of a login: count, delay, check, begin a session.

Each database step is one transaction in a thread; none is open while a password is hashed.
"""

import asyncio
from dataclasses import dataclass

from sqlalchemy import Connection

from hudhud.auth import audit_log, login_attempts, second_factor, sessions
from hudhud.auth.login_attempts import Attempt
from hudhud.auth.login_origins import Origin, origin_of_address, origin_of_browser
from hudhud.auth.second_factor import Means
from hudhud.auth.sessions import Session
from hudhud.core.clock import now_ms
from hudhud.core.crypto import SealingError
from hudhud.core.errors import HudhudError
from hudhud.core.sentences import Sentence, say
from hudhud.web.admin.login.access import access_of
from hudhud.web.admin.login.guard import Forbidden, address_of, known_browser_of, token_of
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
    """A new session, the token for its cookie, and, if complete, the known browser's cookie."""

    token: str
    session: Session
    browser_cookie: str | None


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
        self._browser_cookie = known_browser_of(request)

    async def log_in(self, given: LoginForm, *, may_be_incomplete: bool) -> NewSession:
        """Begin a session with name, password and, if required, a code.

        Without a required code the session is incomplete, if `may_be_incomplete`.
        Raises Busy, TooManyAttempts, WrongPassword, CodeNeeded, WrongCode or Forbidden.
        """
        origin = await self._origin(given.username)
        with self._access.password_slots.place(origin):
            tried = await self._try(origin, given.username)
            is_right = await self._is_password(given.username, given.password, tried)
        if not is_right:
            await asyncio.to_thread(self._fail, tried, given.username, PASSWORD_WAS_WRONG)
            raise WrongPassword(WRONG_PASSWORD)
        return await asyncio.to_thread(
            self._enter, tried, given.code, may_be_incomplete=may_be_incomplete
        )

    async def complete(self, code: str) -> NewSession:
        """Replace an incomplete session by a complete one with another token.

        Raises TooManyAttempts, CodeNeeded, WrongCode or Forbidden.
        """
        tried = await self._try(await self._origin(self._admin), self._admin)
        return await asyncio.to_thread(self._enter, tried, code, may_be_incomplete=False)

    async def prove_again(self, typed: str) -> None:
        """Check that the admin knows the password or has the second factor.

        Raises Busy, TooManyAttempts or WrongCode.
        """
        origin = await self._origin(self._admin)
        with self._access.password_slots.place(origin):
            tried = await self._try(origin, self._admin)
            is_proved = await asyncio.to_thread(self._is_code, typed) or await self._is_password(
                self._admin, typed, tried
            )
        if is_proved:
            await asyncio.to_thread(self._release, tried)
            return
        await asyncio.to_thread(self._fail, tried, self._admin, CODE_WAS_WRONG)
        raise WrongCode(NOT_THE_OWNER)

    async def _origin(self, username: str) -> Origin:
        """Return the browser if this admin logged in with it before, else the address."""
        browser = None
        if self._browser_cookie is not None:
            browser = await asyncio.to_thread(self._find_browser, self._browser_cookie)
        # Only now, so that the time of the answer does not reveal the admin's name.
        if browser is None or username != self._admin:
            return origin_of_address(self._address)
        return origin_of_browser(browser)

    def _find_browser(self, cookie: str) -> str | None:
        with self._database.read() as connection:
            marks = self._access.password.marks(connection)
        return self._access.known_browsers.find(cookie, password_marks=marks, now=now_ms())

    async def _try(self, origin: Origin, username: str) -> _Try:
        await asyncio.to_thread(self._refuse_early, origin)
        tried = await asyncio.to_thread(self._reserve, origin, username)
        await asyncio.sleep(tried.attempt.delay)
        return tried

    async def _is_password(self, username: str, password: str, tried: _Try) -> bool:
        judge = self._access.password.is_right
        async with self._access.password_slots.hashing:
            return await asyncio.to_thread(judge, username, password, stored=tried.stored)

    def _refuse_early(self, origin: Origin) -> None:
        """Refuse a locked-out origin without taking the write lock, which codes need."""
        with self._database.read() as connection:
            login_attempts.check(connection, origin=origin, now=now_ms())

    def _reserve(self, origin: Origin, username: str) -> _Try:
        with self._database.write() as connection:
            attempt = login_attempts.reserve(
                connection,
                origin=origin,
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
        now = now_ms()
        token, session = sessions.begin(
            connection,
            username=self._admin,
            password_mark=tried.mark,
            is_complete=is_complete,
            address=self._address,
            replaces=self._presented,
            now=now,
        )
        if not is_complete:
            return NewSession(token, session, browser_cookie=None)
        known = self._access.known_browsers
        browser = tried.attempt.origin.browser
        return NewSession(token, session, known.cookie(browser, password_mark=tried.mark, now=now))

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
                detail=tried.attempt.limit or reason,
                now=now_ms(),
            )
