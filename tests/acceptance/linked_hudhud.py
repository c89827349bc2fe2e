"""`python -m linked_hudhud ARGS…`: `cli.demo.launcher` with a sender that waits less long."""

import sys

from hudhud.cli import main
from hudhud.worker import supervisor

if __name__ == "__main__":
    # These tests make the sender start anew more often than anything else would.
    supervisor.LONGEST_RESTART_SECONDS = supervisor.FIRST_RESTART_SECONDS
    main(worker_command=[sys.executable, "-m", "linked_sender"])
