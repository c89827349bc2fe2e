"""Ids of verifications: unguessable, and rising with time."""

import secrets

ID_BYTES = 16


def new_verification_id(now: int) -> str:
    """Make an unguessable id that rises with time, so that its index grows at one end."""
    return f"v{now:011x}{secrets.token_hex(ID_BYTES)}"


def first_id_since(at: int) -> str:
    """Return what sorts before the id of any verification made at `at` or later."""
    return f"v{at:011x}"
