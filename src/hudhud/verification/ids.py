"""Ids of verifications: unguessable, and sorted by time."""

import secrets

ID_BYTES = 16


def new_verification_id(now: int) -> str:
    """Return an unguessable id, sorted by time for the index's sake."""
    return f"v{now:011x}{secrets.token_hex(ID_BYTES)}"


def first_id_since(at: int) -> str:
    """Return a lower bound of the ids of verifications started since `at`."""
    return f"v{at:011x}"
