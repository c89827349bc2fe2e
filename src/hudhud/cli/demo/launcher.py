"""`python -m hudhud.cli.demo.launcher ARGS…`: the command line with emulated WhatsApp.

Requires the variables of EmulatorProcess.environment(). If HUDHUD_DIE_WITH_PARENT is set, the end
of standard input, a pipe from the parent process, counts as a SIGTERM.
"""

import os
import signal
import sys
import threading

from hudhud.cli import main
from hudhud.worker.program import Program


def run() -> None:
    """Run the command line with `demo.sender` as the process of a sender."""
    if os.environ.pop("HUDHUD_DIE_WITH_PARENT", None):
        threading.Thread(target=_stop_with_parent, daemon=True).start()
    main(Program([sys.executable, "-m", "hudhud.cli.demo.sender"]))


def _stop_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    run()
