"""The first API key and the first admin password, where the settings name none.

There are no default credentials: what is missing is made, shown once, and kept only as a hash.
"""

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection

from hudhud.auth import admin_password, api_keys, audit_log
from hudhud.auth.api_key_settings import Scope
from hudhud.auth.secret_check import check_secret
from hudhud.core import private_files
from hudhud.core.clock import now_ms
from hudhud.core.errors import StartRefused
from hudhud.core.sentences import say
from hudhud.db.engine import Database
from hudhud.db.locks import Lock, lock, lock_migrations

FIRST_KEY = "first"
FIRST_KEY_SCOPES: Final[tuple[Scope, ...]] = ("send", "verify", "read", "sandbox")
FIRST_START = "first start"  # who made it, as the audit says
CREDENTIALS_FILE = "first-credentials.txt"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GivenCredentials:
    """What the settings name, and nothing is made for."""

    admin_username: str
    api_key: str | None = field(default=None, repr=False)
    admin_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FirstCredentials:
    """What a start made because it was missing; `None` for what existed already."""

    admin_username: str
    api_key: str | None = field(default=None, repr=False)
    admin_password: str | None = field(default=None, repr=False)

    def text(self) -> str:
        """Return the lines that hand the credentials over to a person."""
        lines = ["Hudhud made these credentials. They are shown only this once: keep them safe."]
        if self.api_key is not None:
            lines.append(f"  API key (header X-API-KEY): {self.api_key}")
        if self.admin_password is not None:
            lines.append(f"  Admin name:                 {self.admin_username}")
            lines.append(f"  Admin password:             {self.admin_password}")
        return "\n".join(lines) + "\n"


def ensure_credentials(
    database: Database,
    given: GivenCredentials,
    hand_over: Callable[[FirstCredentials], None],
    *,
    secret: str,
    previous_secret: str | None,
) -> FirstCredentials | None:
    """Check the secret against the database, and make the API key and admin that are missing.

    `hand_over` gets what was made before it is committed: credentials that it could not hand over
    do not exist, and the next start makes others. Machines that start at once do this one by one.
    Returns what was made, or None.
    Raises StartRefused where the secret is not the database's.
    """
    with database.write() as connection:
        lock_migrations(connection)
        lock(connection, Lock.API_KEYS)
        check_secret(connection, secret, previous_secret)
        made = FirstCredentials(
            admin_username=given.admin_username,
            api_key=_first_api_key(connection, given),
            admin_password=_first_admin_password(connection, given),
        )
        if made.api_key is None and made.admin_password is None:
            return None
        hand_over(made)
    return made


def announce(made: FirstCredentials, folder: Path) -> None:
    """Print the credentials on a terminal; without one, write them to a file in the data folder.

    The file is for its owner alone. The log names it, never the values.
    Raises StartRefused where it cannot be written.
    """
    if sys.stdout.isatty():
        sys.stdout.write(f"\n{made.text()}\n")
        sys.stdout.flush()
        return
    file = folder / CREDENTIALS_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_files.append(file, made.text())
    except OSError as error:
        raise StartRefused(
            f"The first credentials cannot be written to {file} ({error}). Mend that, or set "
            "API_KEY and ADMIN_PASSWORD."
        ) from None
    log.warning("New credentials: read them, then delete the file", file=str(file.absolute()))


def _first_api_key(connection: Connection, given: GivenCredentials) -> str | None:
    now = now_ms()
    if given.api_key is not None or api_keys.any_in_use(connection, now=now):
        return None
    name = _first_key_name(connection, now)
    key = api_keys.create(connection, name, FIRST_KEY_SCOPES, now=now)
    audit_log.note(
        connection,
        who=FIRST_START,
        address=None,
        what="key_made",
        subject=name,
        detail=say("key.scopes", detail=api_keys.described(api_keys.stored(connection, key))),
        now=now,
    )
    return key


def _first_key_name(connection: Connection, now: int) -> str:
    """Return `first`, or `first-2` and so on where a key that cannot send is named so."""
    taken = api_keys.names_in_use(connection, now=now)
    further = (f"{FIRST_KEY}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([FIRST_KEY], further) if name not in taken)


def _first_admin_password(connection: Connection, given: GivenCredentials) -> str | None:
    name = given.admin_username
    if admin_password.is_set(connection, name, of_environment=given.admin_password):
        return None
    password = admin_password.make_password()
    hashed = admin_password.hash_password(password)
    admin_password.store(connection, username=name, password_hash=hashed)
    return password
