"""The admin's second factor: one-time codes of an authenticator app (TOTP, RFC 6238).

off → pending (a secret is shown, no code of it was typed yet) → on → off. The secret is sealed.
Each code works once, each recovery code too.
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
# A phone's clock may be one step off in either direction.
DRIFT = (-1, 0, 1)
RECOVERY_CODES = 10
# 16 of 31 characters are 79 bits, so that their SHA-256 reveals nothing.
RECOVERY_GROUPS = 4
GROUP_CHARACTERS = 4


Means = Literal["app", "recovery code"]

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Setup:
    """What an authenticator app needs to know."""

    secret: str
    address: str  # otpauth://…, which the QR code holds


def is_on(connection: Connection, username: str) -> bool:
    """Tell whether this admin's login needs a second factor."""
    found = select(second_factors.c.username).where(
        second_factors.c.username == username, second_factors.c.confirmed_at.is_not(None)
    )
    return connection.execute(found).first() is not None


def begin_setup(connection: Connection, cipher: Cipher, username: str) -> None:
    """Make a secret and keep it as pending; without effect where the second factor is on."""
    if is_on(connection, username):
        return
    sealed = cipher.seal(username, pyotp.random_base32())
    insert_or_update(connection, second_factors, {"username": username}, {"secret_sealed": sealed})


def pending(connection: Connection, cipher: Cipher, username: str) -> Setup | None:
    """Return the secret that is shown but not confirmed. Raises SealingError."""
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
    """Turn the second factor on with one code of the pending secret.

    Returns the recovery codes, of which only digests are kept; None for a wrong code.
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
    """Use up a code, and return which kind it was; None where it is wrong or was used before.

    Raises SealingError.
    """
    if not is_on(connection, username):
        return None
    if _spend_recovery_code(connection, username, code, now=now):
        return "recovery code"
    return "app" if _spend_totp(connection, cipher, username, code, now=now) else None


def recovery_codes_left(connection: Connection, username: str) -> int:
    """Return how many recovery codes were not used."""
    unused = select(recovery_codes.c.digest).where(
        recovery_codes.c.username == username, recovery_codes.c.used_at.is_(None)
    )
    return len(connection.execute(unused).all())


def turn_off(connection: Connection, username: str) -> bool:
    """Forget secret and recovery codes; return whether there were any."""
    connection.execute(delete(recovery_codes).where(recovery_codes.c.username == username))
    result = connection.execute(delete(second_factors).where(second_factors.c.username == username))
    return result.rowcount > 0


def reseal(connection: Connection, cipher: Cipher) -> int:
    """Seal again what is sealed under the former secret; return how many."""
    return sealed_columns.reseal(
        connection,
        cipher,
        second_factors.c.secret_sealed,
        bound_to=second_factors.c.username,
        report_lost=lambda username, error: log.error(
            "a second factor is lost", username=username, error=str(error)
        ),
    )


def _spend_totp(
    connection: Connection, cipher: Cipher, username: str, code: str, *, now: int
) -> bool:
    """Use up a code of the app; of two requests with the same one, the second finds it used."""
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
    """Return the 30 s whose code was typed; the newest where several have the same."""
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
