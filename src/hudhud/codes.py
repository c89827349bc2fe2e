"""Make one-time codes."""

import secrets


def new_code(length: int) -> str:
    """Return a code of `length` decimal digits; each is equally likely, zero first included."""
    return f"{secrets.randbelow(10**length):0{length}d}"
