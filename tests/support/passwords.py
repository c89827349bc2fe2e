"""Passwords whose hashing takes a millisecond."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from argon2 import PasswordHasher

from hudhud.auth import admin_password


@contextmanager
def cheap_passwords() -> Iterator[None]:
    """Hash passwords in a millisecond, because no test depends on the cost."""
    cheap = partial(PasswordHasher, time_cost=1, memory_cost=64, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admin_password, "PasswordHasher", cheap)
        yield
