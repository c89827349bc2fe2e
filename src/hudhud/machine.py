"""What belongs to this machine: its name among others, and the lock on each of its senders."""

import fcntl
import os
import secrets
import time
from pathlib import Path
from urllib.parse import quote

LOCK_POLL_SECONDS = 0.02


def machine_name(data_dir: Path) -> str:
    """Return the random name of this machine, made once and kept in the data folder."""
    path = data_dir / "machine"
    try:
        with path.open("x") as file:
            file.write(secrets.token_hex(8))
    except FileExistsError:
        pass
    return path.read_text()


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
