"""`python -m linked_hudhud ARGS…`: `waemu.hudhud` with a sender that waits less long."""

import sys

from hudhud.cli import main

if __name__ == "__main__":
    main(worker_command=[sys.executable, "-m", "linked_sender"])
