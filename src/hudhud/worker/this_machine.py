"""What belongs to this machine: its name among others, and the lock on each of its senders."""

import secrets
from pathlib import Path
from urllib.parse import quote

from filelock import BaseFileLock, FileLock, Timeout

from hudhud.core import private_files
from hudhud.core.errors import StartRefused

LOCK_POLL_SECONDS = 0.02
NAME_BYTES = 8

# A lock is released when its object is collected: these are kept until the process ends, which
# skips the interpreter's end (`worker/process.py`).
_held: list[BaseFileLock] = []


def machine_name(data_dir: Path) -> str:
    """Return the random name of this machine, made once and kept in the data folder.

    Raises StartRefused where it cannot be kept.
    """
    path = data_dir / "machine"
    try:
        if not path.exists():
            private_files.make_once(path, secrets.token_hex(NAME_BYTES))
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise StartRefused(f"{path} cannot be made or read: {error.strerror}.") from None


def lock_sender(data_dir: Path, sender: str, *, patience: float) -> bool:
    """Take the lock that only one process of a sender can hold; False after `patience` seconds.

    The system frees it when its holder ends, however that happens: the new holder knows that the
    predecessor is gone and that no other process uses the session.
    """
    lock = FileLock(
        data_dir / f"sender-{quote(sender, safe='')}.lock",
        timeout=patience,
        poll_interval=LOCK_POLL_SECONDS,
        mode=0o600,
        fallback_to_soft=False,  # a soft lock would outlive a holder that is killed
    )
    try:
        lock.acquire()
    except Timeout:
        return False
    _held.append(lock)
    return True
