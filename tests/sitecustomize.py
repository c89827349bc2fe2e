"""Shift the clock of every Python process of a test run, its children too.

Python imports this at its start where `PYTHONPATH` names this folder; see `chaos/clocks.py`.
"""

import os
import time

AHEAD = os.environ.get("CLOCK_AHEAD_SECONDS")

if AHEAD is not None:
    import time_machine

    time_machine.travel(time.time() + float(AHEAD), tick=True).start()
