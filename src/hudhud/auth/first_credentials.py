"""The secret, and the first API key and admin password where nobody chose any.

There are no default credentials: what is missing is made, shown once, and kept only as a hash.
"""

import hmac
import itertools
import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection, select, update

from hudhud.auth import admin_password, api_keys, audit_log
from hudhud.auth.api_key_settings import Scope
from hudhud.core.clock import now_ms
from hudhud.core.crypto import CodeSealer, derive
from hudhud.core.errors import StartRefused
from hudhud.core.sentences import say
from hudhud.core.setting_types import SHORTEST_SECRET
from hudhud.core.settings import Settings
from hudhud.db.engine import Database
from hudhud.db.locks import Lock, lock, lock_migrations
from hudhud.db.tables import installation

SECRET_BYTES = 48
SECRET_CHECK = "secret_check"  # noqa: S105 -- the name of a row
FIRST_KEY = "first"
FIRST_KEY_SCOPES: Final[tuple[Scope, ...]] = ("send", "verify", "read", "sandbox")
FIRST_START = "first start"  # who made it, as the audit says
CREDENTIALS_FILE = "first-credentials.txt"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


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


def load_secret(settings: Settings) -> str:
    """Return the secret, making `secret` in the data folder where none is set.

    Raises StartRefused where it is needed and missing (PostgreSQL), or cannot be read or kept.
    """
    if settings.session_secret is not None:
        return settings.session_secret
    if settings.database_url is not None:
        raise StartRefused(
            "SESSION_SECRET is not set. With DATABASE_URL every machine needs the same one: make "
            "it once with `openssl rand -hex 32` and set it on all of them."
        )
    file = secret_file(settings)
    try:
        if not file.exists():
            _keep_new_secret(file)
        secret = _read_secret(file)
    except (OSError, UnicodeDecodeError) as error:
        raise StartRefused(
            f"The secret in {file} cannot be read or made ({error}). Mend that, or set "
            "SESSION_SECRET."
        ) from None
    if len(secret) < SHORTEST_SECRET:
        raise StartRefused(
            f"The secret in {file} is damaged. Restore the file from a backup. Without one, delete "
            "it together with the database."
        )
    return secret


def find_secret(settings: Settings) -> str | None:
    """Return the secret where there is one; make none."""
    file = secret_file(settings)
    if settings.session_secret is None and file.exists():
        return _read_secret(file)
    return settings.session_secret


def secret_file(settings: Settings) -> Path:
    """Return the file that holds the secret where the settings do not."""
    return settings.data_dir / "secret"


def build_sealer(settings: Settings) -> CodeSealer:
    """Build what seals and opens codes. Raises StartRefused without a secret."""
    return CodeSealer(load_secret(settings), settings.session_secret_previous)


def ensure_credentials(
    database: Database, settings: Settings, hand_over: Callable[[FirstCredentials], None]
) -> FirstCredentials | None:
    """Check the secret against the database, and make the API key and admin that are missing.

    `hand_over` gets what was made before it is committed: credentials that reached nobody do not
    exist, and the next start makes others. Machines that start at once do this one by one.
    Returns what was made, or None.
    Raises StartRefused where the secret is missing or is not the database's.
    """
    secret = load_secret(settings)
    with database.write() as connection:
        lock_migrations(connection)
        lock(connection, Lock.API_KEYS)
        check_secret(connection, secret, settings.session_secret_previous)
        made = FirstCredentials(
            admin_username=settings.admin_username,
            api_key=_first_api_key(connection, settings),
            admin_password=_first_admin_password(connection, settings),
        )
        if made.api_key is None and made.admin_password is None:
            return None
        hand_over(made)
    return made


def announce(made: FirstCredentials, settings: Settings) -> None:
    """Print the credentials on a terminal; without one, write them to a file for the owner alone.

    The log names the file, never the values. Raises StartRefused where it cannot be written.
    """
    if sys.stdout.isatty():
        sys.stdout.write(f"\n{made.text()}\n")
        sys.stdout.flush()
        return
    file = settings.data_dir / CREDENTIALS_FILE
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _append_privately(file, made.text())
    except OSError as error:
        raise StartRefused(
            f"The first credentials cannot be written to {file} ({error}). Mend that, or set "
            "API_KEY and ADMIN_PASSWORD."
        ) from None
    log.warning("New credentials: read them, then delete the file", file=str(file.absolute()))


def secret_check(secret: str) -> str:
    """Return the value that proves a secret without telling it."""
    return derive(secret, "secret check").hex()


def _read_secret(file: Path) -> str:
    return file.read_text(encoding="ascii").strip()


def _keep_new_secret(file: Path) -> None:
    """Make the secret's file whole at once: of two that start together, one wins, both agree."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".secret-{secrets.token_hex(8)}")
    try:
        _append_privately(draft, secrets.token_urlsafe(SECRET_BYTES) + "\n")
        file.hardlink_to(draft)
        _flush_folder(file.parent)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _append_privately(file: Path, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    descriptor = os.open(file, flags, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        os.fchmod(descriptor, 0o600)  # before the first byte, should the file be an older one
        opened.write(text)
        opened.flush()
        os.fsync(descriptor)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_secret(connection: Connection, secret: str, previous: str | None) -> None:
    """Prove that `secret` is the database's, which a new one takes over from `previous`.

    Raises StartRefused where it is not.
    """
    stored = stored_check(connection)
    value = secret_check(secret)
    if stored is None:
        connection.execute(installation.insert().values(name=SECRET_CHECK, value=value))
    elif proves(secret, stored):
        return
    elif previous is not None and proves(previous, stored):
        row = installation.c.name == SECRET_CHECK
        connection.execute(update(installation).where(row).values(value=value))
        log.info("The secret is a new one from now on")
    else:
        raise StartRefused(
            "This database belongs to another secret: its codes could not be read. Set "
            "SESSION_SECRET (or restore the file `secret` in DATA_DIR) as it was. To change the "
            "secret, set the earlier one as SESSION_SECRET_PREVIOUS."
        )


def stored_check(connection: Connection) -> str | None:
    """Return what the database keeps of its secret; None before the first start."""
    kept = select(installation.c.value).where(installation.c.name == SECRET_CHECK)
    stored: str | None = connection.scalar(kept)
    return stored


def proves(secret: str, stored: str) -> bool:
    """Tell whether the stored check was made with this secret."""
    return hmac.compare_digest(stored, secret_check(secret))


def _first_api_key(connection: Connection, settings: Settings) -> str | None:
    now = now_ms()
    if settings.api_key is not None or api_keys.any_in_use(connection, now=now):
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


def _first_admin_password(connection: Connection, settings: Settings) -> str | None:
    if admin_password.is_set(connection, settings):
        return None
    password = admin_password.make_password()
    hashed = admin_password.hash_password(password)
    admin_password.store(connection, username=settings.admin_username, password_hash=hashed)
    return password
