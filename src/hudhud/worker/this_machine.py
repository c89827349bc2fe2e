"""This machine's random name, and the locks on its senders."""

import secrets
from pathlib import Path
from urllib.parse import quote

from filelock import BaseFileLock, FileLock, Timeout

from hudhud.core import private_files
from hudhud.core.errors import StartRefused

LOCK_POLL_SECONDS = 0.02
NAME_BYTES = 8

# Garbage collection would release the locks, so they are referenced until the process ends
# (without running exit hooks, see `worker/process.py`).
_held: list[BaseFileLock] = []


def machine_name(data_dir: Path) -> str:
    """Return this machine's random name, created once in the data folder.

    Raises StartRefused if the file cannot be created or read.
    """
    path = data_dir / "machine"
    try:
        if not path.exists():
            private_files.make_once(path, secrets.token_hex(NAME_BYTES))
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise StartRefused(f"{path} cannot be created or read: {error.strerror}.") from None


def lock_sender(data_dir: Path, sender: str, *, patience: float) -> bool:
    """Take the sender's process lock; return False after `patience` seconds.

    The operating system releases it when its holder ends for any reason, so a new holder knows
    that no other process on this machine uses the session.
    """
    lock = FileLock(
        data_dir / f"sender-{quote(sender, safe='')}.lock",
        timeout=patience,
        poll_interval=LOCK_POLL_SECONDS,
        mode=0o600,
        fallback_to_soft=False,  # a soft lock would outlive a killed holder
    )
    try:
        lock.acquire()
    except Timeout:
        return False
    _held.append(lock)
    return True
