"""The admin's name and password: storage and verification.

There is one admin, `ADMIN_USERNAME`. `ADMIN_PASSWORD` takes precedence over the stored password.
"""

import hmac
import secrets
import string
import threading
from hashlib import sha256

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, select

from hudhud.core.clock import now_ms
from hudhud.core.crypto import derive
from hudhud.core.errors import BadRequest
from hudhud.db.tables import admins
from hudhud.db.upserts import insert_or_update

SHORTEST_PASSWORD = 12
# Upper bound, so that hashing time stays bounded.
LONGEST_PASSWORD = 1024
# Without 0, 1, i, l and o, which are easily confused; 20 characters out of 31 have 99 bits.
PASSWORD_ALPHABET = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("01ilo")))
PASSWORD_GROUPS = 4
GROUP_CHARACTERS = 5


class AdminPassword:
    """Checks the admin's name and password."""

    def __init__(
        self,
        username: str,
        *,
        of_environment: str | None,
        secret: str,
        previous_secret: str | None,
    ) -> None:
        self.username = username
        self._of_environment = of_environment
        both = (secret, previous_secret)
        self._mark_keys = [derive(one, "password mark") for one in both if one is not None]
        self._hasher = PasswordHasher()
        self._making = threading.Lock()
        self._environment_hash: str | None = None
        self._decoy: str | None = None

    def mark(self, connection: Connection) -> bytes:
        """Return the password mark of new sessions; another password ends them."""
        return self.marks(connection)[0]

    def marks(self, connection: Connection) -> list[bytes]:
        """Return the password marks under the current and the previous secret."""
        if self._of_environment is not None:
            kept = f"environment\0{self._of_environment}"
        else:
            kept = f"stored\0{stored_hash(connection, self.username)}"
        marked = f"{self.username}\0{kept}".encode()
        return [hmac.digest(key, marked, "sha256") for key in self._mark_keys]

    def stored(self, connection: Connection) -> str | None:
        """Return the stored hash, or None if ADMIN_PASSWORD is set."""
        if self._of_environment is not None:
            return None
        return stored_hash(connection, self.username)

    def is_right(self, username: str, password: str, *, stored: str | None) -> bool:
        """Return whether name and password are the admin's.

        Always takes 0.1 s and 64 MB. `stored` is the result of `stored()`, so that no connection is
        held during the hashing.
        """
        known = stored if self._of_environment is None else self._hash_of_environment()
        is_admin = _same(username, self.username)
        asked = known if is_admin and known is not None else self._decoy_hash()
        return self._fits(asked, password) and is_admin and known is not None

    def _fits(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False

    def _hash_of_environment(self) -> str:
        with self._making:
            if self._environment_hash is None:
                password = self._of_environment or ""
                self._environment_hash = self._hasher.hash(_bytes(password))
            return self._environment_hash

    def _decoy_hash(self) -> str:
        """Return a random password's hash, for equal timing of unknown names."""
        with self._making:
            if self._decoy is None:
                self._decoy = self._hasher.hash(secrets.token_bytes())
            return self._decoy


def is_set(connection: Connection, username: str, *, of_environment: str | None) -> bool:
    """Return whether the admin has a password, stored or in ADMIN_PASSWORD."""
    return of_environment is not None or stored_hash(connection, username) is not None


def stored_hash(connection: Connection, username: str) -> str | None:
    """Return the hash of the admin's stored password, or None."""
    found = select(admins.c.password_hash).where(admins.c.username == username)
    stored: str | None = connection.scalar(found)
    return stored


def store(connection: Connection, *, username: str, password_hash: str) -> None:
    """Store a password's hash, replacing the previous one."""
    insert_or_update(
        connection,
        admins,
        {"username": username},
        {"password_hash": password_hash, "created_at": now_ms()},
    )


def make_password() -> str:
    """Generate a password of 99 bits that can be read aloud."""
    groups = (
        "".join(secrets.choice(PASSWORD_ALPHABET) for _ in range(GROUP_CHARACTERS))
        for _ in range(PASSWORD_GROUPS)
    )
    return "-".join(groups)


def hash_password(password: str) -> str:
    """Hash a new password. Raises BadRequest if too short or too long."""
    if len(password) < SHORTEST_PASSWORD:
        raise BadRequest(f"A password needs at least {SHORTEST_PASSWORD} characters.")
    if len(password) > LONGEST_PASSWORD:
        raise BadRequest(f"A password has at most {LONGEST_PASSWORD} characters.")
    return PasswordHasher().hash(_bytes(password))


def _bytes(password: str) -> bytes:
    # Input with invalid Unicode must be a wrong password, not an error.
    return password.encode("utf-8", "replace")


def _same(one: str, other: str) -> bool:
    """Compare two names in constant time, independent of their lengths."""
    digests = (sha256(name.encode("utf-8", "surrogatepass")).digest() for name in (one, other))
    return hmac.compare_digest(*digests)
