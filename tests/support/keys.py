"""API keys for tests."""

from typing import Any

from hudhud.auth import api_keys
from hudhud.auth.api_key_settings import DEFAULT_SCOPES
from hudhud.core.clock import now_ms
from hudhud.db.engine import Database
from hudhud.db.locks import Lock, lock


def make_key(database: Database, name: str = "shop", *scopes: str, **settings: Any) -> str:
    """Create a key, by default with the default scopes and shown codes, and return it."""
    with database.write() as connection:
        lock(connection, Lock.API_KEYS)
        wanted = scopes or DEFAULT_SCOPES
        usual = {"now": now_ms(), "hides_code": False}
        return api_keys.create(connection, name, wanted, **{**usual, **settings})


def revoke_key(database: Database, text: str) -> str | None:
    """Revoke the key that `text` names; return its name."""
    with database.write() as connection:
        return api_keys.revoke(connection, text, now=now_ms())
