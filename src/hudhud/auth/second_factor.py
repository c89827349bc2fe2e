"""The admin's second factor: codes from an authenticator app (TOTP, RFC 6238).

States: off → pending (secret shown, not yet confirmed by a code) → on → off. The secret is sealed.
Each code and recovery code works once.
"""

import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import pyotp
import structlog
from sqlalchemy import Connection, delete, insert, or_, select, update

from hudhud.auth.admin_password import PASSWORD_ALPHABET
from hudhud.core.crypto import Cipher
from hudhud.db import sealed_columns
from hudhud.db.tables import recovery_codes, second_factors
from hudhud.db.upserts import insert_or_update

PURPOSE = "second factor"
ISSUER = "Hudhud"
STEP_MS = 30_000
# The phone's clock may be off by one step in either direction.
DRIFT = (-1, 0, 1)
RECOVERY_CODES = 10
# 16 characters out of 31 have 79 bits: too many to search for by their SHA-256.
RECOVERY_GROUPS = 4
GROUP_CHARACTERS = 4


Means = Literal["app", "recovery code"]

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Setup:
    """The data for an authenticator app."""

    secret: str
    address: str  # otpauth:// URL for the QR code


def is_on(connection: Connection, username: str) -> bool:
    """Return whether the admin's login requires a second factor."""
    found = select(second_factors.c.username).where(
        second_factors.c.username == username, second_factors.c.confirmed_at.is_not(None)
    )
    return connection.execute(found).first() is not None


def begin_setup(connection: Connection, cipher: Cipher, username: str) -> None:
    """Generate and store a pending secret, unless the second factor is on."""
    if is_on(connection, username):
        return
    sealed = cipher.seal(username, pyotp.random_base32())
    insert_or_update(connection, second_factors, {"username": username}, {"secret_sealed": sealed})


def pending(connection: Connection, cipher: Cipher, username: str) -> Setup | None:
    """Return the pending secret, or None. Raises SealingError."""
    found = select(second_factors.c.secret_sealed).where(
        second_factors.c.username == username, second_factors.c.confirmed_at.is_(None)
    )
    sealed = connection.scalar(found)
    if sealed is None:
        return None
    secret = cipher.open(username, sealed)
    return Setup(secret, pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=ISSUER))


def confirm(
    connection: Connection, cipher: Cipher, username: str, code: str, *, now: int
) -> list[str] | None:
    """Turn the second factor on with a code of the pending secret.

    Returns the recovery codes, of which only digests are stored, or None for a wrong code.
    Raises SealingError.
    """
    if is_on(connection, username) or not _spend_totp(connection, cipher, username, code, now=now):
        return None
    connection.execute(
        update(second_factors).where(second_factors.c.username == username).values(confirmed_at=now)
    )
    return _new_recovery_codes(connection, username)


def spend(
    connection: Connection, cipher: Cipher, username: str, code: str, *, now: int
) -> Means | None:
    """Use up a code and return its kind; None if invalid.

    Raises SealingError.
    """
    if not is_on(connection, username):
        return None
    if _spend_recovery_code(connection, username, code, now=now):
        return "recovery code"
    return "app" if _spend_totp(connection, cipher, username, code, now=now) else None


def recovery_codes_left(connection: Connection, username: str) -> int:
    """Return the number of unused recovery codes."""
    unused = select(recovery_codes.c.digest).where(
        recovery_codes.c.username == username, recovery_codes.c.used_at.is_(None)
    )
    return len(connection.execute(unused).all())


def turn_off(connection: Connection, username: str) -> bool:
    """Delete secret and recovery codes; return whether there was a secret."""
    connection.execute(delete(recovery_codes).where(recovery_codes.c.username == username))
    result = connection.execute(delete(second_factors).where(second_factors.c.username == username))
    return result.rowcount > 0


def reseal(connection: Connection, cipher: Cipher) -> int:
    """Reseal secrets sealed under the previous SESSION_SECRET; return how many."""
    return sealed_columns.reseal(
        connection,
        cipher,
        second_factors.c.secret_sealed,
        bound_to=second_factors.c.username,
        report_lost=lambda username, error: log.error(
            "second factor unreadable, run: hudhud admin reset-second-factor",
            username=username,
            error=str(error),
        ),
    )


def _spend_totp(
    connection: Connection, cipher: Cipher, username: str, code: str, *, now: int
) -> bool:
    """Use up a code of the app; concurrent uses of it fail."""
    row = connection.execute(
        select(second_factors).where(second_factors.c.username == username)
    ).first()
    typed = "".join(code.split())
    if row is None or not typed.isascii():
        return False
    secret = cipher.open(username, row.secret_sealed)
    step = _step_of(secret, typed, now)
    if step is None:
        return False
    is_fresh = or_(second_factors.c.last_step.is_(None), second_factors.c.last_step < step)
    values: dict[str, object] = {"last_step": step}
    if not cipher.is_current(row.secret_sealed):
        values["secret_sealed"] = cipher.seal(username, secret)
    result = connection.execute(
        update(second_factors)
        .where(second_factors.c.username == username, is_fresh)
        .values(**values)
    )
    return result.rowcount == 1


def _step_of(secret: str, typed: str, now: int) -> int | None:
    """Return the newest 30-s step whose code was typed, or None."""
    totp = pyotp.TOTP(secret)
    steps = [now // STEP_MS + drift for drift in DRIFT]
    fitting = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), typed)]
    return max(fitting, default=None)


def _spend_recovery_code(connection: Connection, username: str, code: str, *, now: int) -> bool:
    result = connection.execute(
        update(recovery_codes)
        .where(
            recovery_codes.c.username == username,
            recovery_codes.c.digest == _digest(username, code),
            recovery_codes.c.used_at.is_(None),
        )
        .values(used_at=now)
    )
    return result.rowcount == 1


def _new_recovery_codes(connection: Connection, username: str) -> list[str]:
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    connection.execute(delete(recovery_codes).where(recovery_codes.c.username == username))
    connection.execute(
        insert(recovery_codes),
        [{"username": username, "digest": _digest(username, code)} for code in codes],
    )
    return codes


def _recovery_code() -> str:
    groups = (
        "".join(secrets.choice(PASSWORD_ALPHABET) for _ in range(GROUP_CHARACTERS))
        for _ in range(RECOVERY_GROUPS)
    )
    return "-".join(groups)


def _digest(username: str, code: str) -> bytes:
    plain = "".join(letter for letter in code.lower() if letter.isalnum())
    return sha256(f"{username}\0{plain}".encode("utf-8", "replace")).digest()
