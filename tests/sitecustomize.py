"""Shift the clock of all Python processes of a test run.

Python imports this module at its start if `PYTHONPATH` names its folder; see `chaos/clocks.py`.
"""

import os
import time

AHEAD = os.environ.get("CLOCK_AHEAD_SECONDS")

if AHEAD is not None:
    import time_machine

    time_machine.travel(time.time() + float(AHEAD), tick=True).start()
