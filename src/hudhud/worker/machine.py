"""What belongs to this machine: its name among others, and the lock on each of its senders."""

import fcntl
import os
import secrets
import time
from pathlib import Path
from urllib.parse import quote

from hudhud.core import private_files
from hudhud.core.errors import StartRefused

LOCK_POLL_SECONDS = 0.02
NAME_BYTES = 8


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


def lock_sender(data_dir: Path, sender: str, *, patience: float) -> int | None:
    """Take the lock that only one process of a sender can hold; None after `patience` seconds.

    The system frees it when its holder ends, however that happens: whoever has it knows that the
    predecessor is gone and that nobody else uses the session.
    """
    path = data_dir / f"sender-{quote(sender, safe='')}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(LOCK_POLL_SECONDS)
        else:
            return descriptor
