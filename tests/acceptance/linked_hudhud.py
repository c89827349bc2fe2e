"""Run `cli.demo.launcher` with short waits: `python -m linked_hudhud ARGS…`."""

import sys

from hudhud.cli import main
from hudhud.worker.program import Program, Timing

if __name__ == "__main__":
    # These tests make the sender start again more often than anything else would.
    timing = Timing(longest_restart=Timing().first_restart)
    main(Program([sys.executable, "-m", "linked_sender"], timing))
