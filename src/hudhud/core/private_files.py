"""Write files that only their owner can read, without exposing partial contents."""

import contextlib
import os
import secrets
import stat
from pathlib import Path


def make_once(file: Path, text: str) -> None:
    """Create a file unless it exists, atomically among processes.

    Raises OSError.
    """
    draft = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    try:
        append(draft, text)
        file.hardlink_to(draft)
        _flush_folder(file.parent)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def append(file: Path, text: str) -> None:
    """Append text to a file, creating it if missing. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    descriptor = os.open(file, flags, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        os.fchmod(descriptor, 0o600)  # an existing file may have another mode
        opened.write(text)
        opened.flush()
        os.fsync(descriptor)


def replace(file: Path, text: str) -> None:
    """Create a file or replace its contents. Raises OSError."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
    draft.replace(file)


def narrow(folder: Path) -> None:
    """Let only the owner into an existing folder; leave the folder of another owner unchanged."""
    mode = folder.stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        with contextlib.suppress(PermissionError):
            folder.chmod(stat.S_IRWXU)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
