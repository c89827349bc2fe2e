"""`python -m waemu.hudhud ARGS…`: the hudhud command line, whose senders reach the emulator.

Needs the variables of EmulatorProcess.environment().
"""

import sys


def main() -> None:
    """Runs hudhud with the emulator's worker in place of its own."""
    from hudhud.cli import main as hudhud  # noqa: PLC0415 - hudhud is not needed for the rest

    hudhud(worker_command=[sys.executable, "-m", "waemu.worker"])


if __name__ == "__main__":
    main()
