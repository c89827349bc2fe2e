"""The lock of a sender proves that the previous process ended."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hudhud.worker.this_machine import lock_sender

HOLDER = """
import gc, subprocess, sys, time
from pathlib import Path
from hudhud.worker.this_machine import lock_sender

assert lock_sender(Path(sys.argv[1]), "main", patience=0)
gc.collect()
child = subprocess.Popen(["sleep", "60"])
print(child.pid, flush=True)
time.sleep(60)
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock and has a child."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            yield process
        finally:
            process.kill()
            os.kill(child, signal.SIGKILL)


def test_lock_is_held_until_its_holder_ends(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        assert not lock_sender(tmp_path, "main", patience=0.1)
        assert lock_sender(tmp_path, "other", patience=0)
        process.kill()
        process.wait()
        assert lock_sender(tmp_path, "main", patience=1), "the child still holds it"


def test_file_is_private_and_persists(tmp_path: Path) -> None:
    assert lock_sender(tmp_path, "a/b", patience=0)
    (file,) = tmp_path.iterdir()
    assert file.name == "sender-a%2Fb.lock"
    assert file.stat().st_mode & 0o777 == 0o600
