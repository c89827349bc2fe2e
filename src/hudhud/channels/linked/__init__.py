"""A linked WhatsApp device; start reading at `channel.py`, `faults.py` lists all faults."""
