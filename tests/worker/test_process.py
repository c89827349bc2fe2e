"""The end of a sender's process."""

import subprocess
import sys

BROKEN = """
import atexit, sys, time
from hudhud.worker import process

atexit.register(time.sleep, 600)

def break_down(*_):
    raise OSError("no more threads")

process._run = break_down
sys.argv = ["hudhud.worker.process", "main"]
process.main()
"""


def test_unexpected_error_ends_the_process_at_once_and_is_shown() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BROKEN],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        errors = process.stderr.read()
        assert process.wait(60) == 1
    assert "OSError: no more threads" in errors
