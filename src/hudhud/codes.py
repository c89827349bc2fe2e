"""Make one-time codes and check their form."""

import secrets
from string import digits


def new_code(length: int) -> str:
    """Return a code of `length` decimal digits; each is equally likely, zero first included."""
    return "".join(secrets.choice(digits) for _ in range(length))
