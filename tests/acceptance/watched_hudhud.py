"""Run the command line with a supervisor of short patience: `python -m watched_hudhud ARGS…`."""

import sys

from hudhud.cli import main
from hudhud.worker.program import Program, Timing

# Two heartbeats; a sender that computes for long must not be killed.
SILENCE_SECONDS = 6.0

if __name__ == "__main__":
    main(Program([sys.executable, "-m", "hudhud.worker.process"], Timing(silence=SILENCE_SECONDS)))
