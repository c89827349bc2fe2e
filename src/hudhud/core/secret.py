"""The secret, set in the settings or kept in the data folder."""

import hmac
import secrets
from pathlib import Path

from hudhud.core import private_files
from hudhud.core.crypto import derive
from hudhud.core.errors import StartRefused
from hudhud.core.setting_types import SHORTEST_SECRET

SECRET_BYTES = 48
STRONG_LENGTH = 32
FEWEST_LETTERS = 8


def load_secret(chosen: str | None, folder: Path, *, is_shared: bool) -> str:
    """Return the chosen secret or the data folder's, creating it if missing.

    Raises StartRefused if its file cannot be read or written, or if none is chosen although the
    database `is_shared` with other machines.
    """
    if chosen is None and is_shared:
        raise StartRefused(
            "SESSION_SECRET is not set. With DATABASE_URL every machine needs the same one: "
            "generate it once with `openssl rand -hex 32` and set it on all of them."
        )
    file = secret_file(folder)
    try:
        found = find_secret(chosen, folder, is_shared=is_shared)
        secret = _make_secret(file) if found is None else found
    except (OSError, UnicodeDecodeError) as error:
        raise StartRefused(
            f"The secret file {file} cannot be read or created ({error}). Fix this, or set "
            "SESSION_SECRET."
        ) from None
    if len(secret) < SHORTEST_SECRET:
        raise StartRefused(
            f"The secret in {file} is damaged. Restore the file from a backup. Without one, delete "
            "it together with the database."
        )
    return secret


def find_secret(chosen: str | None, folder: Path, *, is_shared: bool) -> str | None:
    """Return the secret, or None, without creating one.

    Ignores the file if the database `is_shared`, because other machines do not have it.
    """
    file = secret_file(folder)
    if chosen is not None or is_shared or not file.exists():
        return chosen
    return _read_secret(file)


def secret_file(folder: Path) -> Path:
    """Return the file that holds the secret if SESSION_SECRET is unset."""
    return folder / "secret"


def is_strong(secret: str) -> bool:
    """Return whether a secret is too long and varied to guess."""
    return len(secret) >= STRONG_LENGTH and len(set(secret)) >= FEWEST_LETTERS


def proof_of(secret: str) -> str:
    """Return a value that proves a secret without revealing it."""
    return derive(secret, "secret check").hex()


def proves(secret: str, stored: str) -> bool:
    """Return whether the stored proof was made with this secret."""
    return hmac.compare_digest(stored, proof_of(secret))


def _make_secret(file: Path) -> str:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    private_files.make_once(file, secrets.token_urlsafe(SECRET_BYTES) + "\n")
    return _read_secret(file)


def _read_secret(file: Path) -> str:
    return file.read_text(encoding="ascii").strip()
