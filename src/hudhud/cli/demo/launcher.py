"""`python -m waemu.hudhud ARGS…`: the hudhud command line, whose senders reach the emulator.

Needs the variables of EmulatorProcess.environment(). With WAEMU_DIE_WITH_PARENT set it takes the
end of its standard input, a pipe from its parent, for a SIGTERM.
"""

import os
import signal
import sys
import threading


def main() -> None:
    """Runs hudhud with the emulator's worker in place of its own."""
    if os.environ.pop("WAEMU_DIE_WITH_PARENT", None):
        threading.Thread(target=_stop_with_parent, daemon=True).start()
    from hudhud.cli import main as hudhud  # noqa: PLC0415 - hudhud is not needed for the rest

    hudhud(worker_command=[sys.executable, "-m", "hudhud.cli.demo.sender"])


def _stop_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
