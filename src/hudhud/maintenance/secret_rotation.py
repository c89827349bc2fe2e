"""Rotate the secret: replace the previous one, SESSION_SECRET_PREVIOUS.

Codes and links end within their validity, and answers that are kept for repeated requests after 24
hours; other sealed values are sealed with the new secret at the start. When nothing is sealed with
the previous secret, it can be removed.
"""

from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Column, ColumnElement, Connection, LargeBinary, and_, func, or_, select

from hudhud.auth import second_factor, sessions
from hudhud.auth.admin_password import AdminPassword
from hudhud.core.clock import iso, now_ms
from hudhud.core.crypto import KEY_NAME_BYTES, Cipher, CodeCipher
from hudhud.db.engine import Database
from hudhud.db.tables import kept_answers, second_factors, verifications, webhook_endpoints
from hudhud.verification.idempotency import KEPT_MS
from hudhud.webhooks import endpoints

DONE = "SESSION_SECRET_PREVIOUS is no longer needed: nothing is sealed with it."

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RotationStatus:
    """Values sealed with the previous secret.

    Codes, links and kept answers are valid until `until` (milliseconds); `kept` counts other sealed
    secrets.
    """

    until: int | None
    kept: int

    @property
    def is_nothing(self) -> bool:
        """Whether the previous secret can be removed."""
        return self.until is None and self.kept == 0

    @property
    def sentence(self) -> str:
        """The status for operators."""
        if self.is_nothing:
            return DONE
        if self.kept:
            return (
                "SESSION_SECRET_PREVIOUS is needed: secrets of webhooks or of the second factor "
                "are sealed with it. The next start seals them with the new secret."
            )
        return (
            f"SESSION_SECRET_PREVIOUS is needed until {iso(self.until or 0)}, for codes, links and "
            "answers to repeated requests that are sealed with it."
        )


def take_over(
    database: Database, password: AdminPassword, *, secret: str, previous_secret: str | None
) -> None:
    """Seal stored values with the new secret.

    Logs how long the previous secret is needed; without one, nothing is done. Values that neither
    secret opens are kept and logged. `password` knows both secrets too.
    """
    if previous_secret is None:
        return
    factors, hooks = _ciphers(secret, previous_secret)
    with database.write() as connection:
        second_factor.reseal(connection, factors)
        endpoints.reseal(connection, hooks)
        now, *before = password.marks(connection)
        for mark in before:
            sessions.rekey_sessions(connection, before=mark, now=now)
        left = find_left(connection, secret=secret, previous_secret=previous_secret)
    log.warning(left.sentence if left.is_nothing else left.sentence + " Check: `hudhud doctor`.")


def find_left(connection: Connection, *, secret: str, previous_secret: str) -> RotationStatus:
    """Count the values that are still sealed with the previous secret."""
    cipher, now = CodeCipher(secret, previous_secret), now_ms()
    ends = (_last_code(connection, cipher, now), _last_answer(connection, cipher, now))
    until = max((end for end in ends if end is not None), default=None)
    factors, hooks = _ciphers(secret, previous_secret)
    kept = (
        _count_old(connection, second_factors.c.secret_sealed, factors)
        + _count_old(connection, webhook_endpoints.c.secret_sealed, hooks)
        + _count_old(connection, webhook_endpoints.c.previous_secret_sealed, hooks)
    )
    return RotationStatus(until, kept)


def _last_code(connection: Connection, cipher: CodeCipher, now: int) -> int | None:
    """Return when the last code or link of the previous secret expires."""
    expires_at: int | None = connection.scalar(
        select(func.max(verifications.c.expires_at)).where(
            # The condition of the partial index.
            or_(verifications.c.code_sealed.is_not(None), verifications.c.link_index.is_not(None)),
            verifications.c.expires_at > now,
            or_(
                _is_old(verifications.c.code_sealed, cipher.codes.key_name),
                _is_old(verifications.c.link_sealed, cipher.links.key_name),
            ),
        )
    )
    return expires_at


def _last_answer(connection: Connection, cipher: CodeCipher, now: int) -> int | None:
    """Return when the last answer kept under the previous secret is no longer given."""
    kept_at = connection.scalar(
        select(func.max(kept_answers.c.created_at)).where(
            kept_answers.c.created_at > now - KEPT_MS,
            _is_old(kept_answers.c.answer_sealed, cipher.answers.key_name),
        )
    )
    return None if kept_at is None else kept_at + KEPT_MS


def _ciphers(secret: str, previous_secret: str) -> tuple[Cipher, Cipher]:
    """Return the ciphers of second factors and of webhook secrets."""
    factors = Cipher(second_factor.PURPOSE, secret, previous_secret)
    return factors, Cipher(endpoints.PURPOSE, secret, previous_secret)


def _count_old(connection: Connection, column: Column[Any], cipher: Cipher) -> int:
    old = select(func.count()).where(_is_old(column, cipher.key_name))
    return connection.scalar(old) or 0


def _is_old(column: Column[Any], key_name: bytes) -> ColumnElement[bool]:
    name = func.substr(column, 1, KEY_NAME_BYTES, type_=LargeBinary)
    return and_(column.is_not(None), name != key_name)
