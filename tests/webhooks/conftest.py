"""A separate endpoint for each test of deliveries."""

import pytest

from hudhud.db.engine import Database
from support.deliveries import URL
from support.receivers import add_endpoint


@pytest.fixture
def endpoint(database: Database) -> int:
    """An endpoint for all events."""
    return add_endpoint(database, URL).id
