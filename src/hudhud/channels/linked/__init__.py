"""A linked WhatsApp device; `channel.py` is where to start, `faults.py` holds what goes wrong."""
