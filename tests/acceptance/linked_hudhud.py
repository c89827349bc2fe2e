"""Run `cli.demo.launcher` with short waits: `python -m linked_hudhud ARGS…`."""

import sys

from hudhud.cli import main
from hudhud.worker import supervisor

if __name__ == "__main__":
    # The acceptance tests restart the sender unusually often.
    supervisor.LONGEST_RESTART_SECONDS = supervisor.FIRST_RESTART_SECONDS
    main(worker_command=[sys.executable, "-m", "linked_sender"])
