"""API keys: made, listed, revoked, and recognised in a request within microseconds.

A key is 256 random bits, so its plain SHA-256 digest is enough to store; argon2 is for passwords,
which people choose.
"""

import hmac
import secrets
import threading
from hashlib import sha256

import structlog
from sqlalchemy import Connection, Row, select, update
from sqlalchemy.exc import SQLAlchemyError

from hudhud.clock import now_ms
from hudhud.db.engine import Database
from hudhud.db.tables import api_keys
from hudhud.errors import BadRequest

MARK = "hh_live_"
KEY_BYTES = 32
SHOWN_CHARACTERS = 6
LONGEST_NAME = 60
RENEW_SECONDS = 1.0
ENVIRONMENT = "environment"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


def create(connection: Connection, name: str) -> str:
    """Make a key and return it: only its digest is stored, so this is the only time it is seen.

    Raises BadRequest where the name is empty, too long or that of a key in use.
    """
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        raise BadRequest(f"A key's name has 1 to {LONGEST_NAME} characters.")
    if any(key.name == name for key in _in_use(connection)):
        raise BadRequest(f"A key named {name} exists already. Choose another name, or revoke it.")
    key = MARK + secrets.token_urlsafe(KEY_BYTES)
    connection.execute(
        api_keys.insert().values(
            name=name, prefix=readable_prefix(key), digest=_digest(key), created_at=now_ms()
        )
    )
    return key


def readable_prefix(key: str) -> str:
    """Return the part of a key by which lists and logs may name it."""
    return key[: len(MARK) + SHOWN_CHARACTERS]


def any_in_use(connection: Connection) -> bool:
    """Tell whether there is a key that is not revoked."""
    return bool(_in_use(connection))


def list_keys(connection: Connection) -> list[Row[str, str, int, int | None]]:
    """Return name, prefix, created_at and revoked_at of every key, the oldest first."""
    return list(
        connection.execute(
            select(
                api_keys.c.name, api_keys.c.prefix, api_keys.c.created_at, api_keys.c.revoked_at
            ).order_by(api_keys.c.id)
        )
    )


def revoke(connection: Connection, prefix_or_name: str) -> bool:
    """Revoke the one key in use with this name, or whose prefix starts so; False for none.

    It stops working within two seconds. Raises BadRequest where several keys are meant.
    """
    found = [key for key in _in_use(connection) if _means(prefix_or_name, key)]
    if len(found) > 1:
        prefixes = ", ".join(key.prefix for key in found)
        raise BadRequest(f"Several keys fit {prefix_or_name}: {prefixes}. Write more of the one.")
    if not found:
        return False
    result = connection.execute(
        update(api_keys)
        .where(api_keys.c.id == found[0].id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now_ms())
    )
    return result.rowcount == 1


def _in_use(connection: Connection) -> list[Row[int, str, str]]:
    columns = select(api_keys.c.id, api_keys.c.name, api_keys.c.prefix)
    return list(
        connection.execute(columns.where(api_keys.c.revoked_at.is_(None)).order_by(api_keys.c.id))
    )


def _means(text: str, key: Row[int, str, str]) -> bool:
    """Tell whether `text` is the key's name, the beginning of its prefix, or the whole key."""
    if text == key.name:
        return True
    return text.startswith(MARK) and (key.prefix.startswith(text) or text.startswith(key.prefix))


class KeyRing:
    """The keys that work now, kept in memory and renewed once a second by a thread.

    While the database cannot be read, the keys of before go on working.
    """

    def __init__(self, database: Database, environment_key: str | None) -> None:
        self._database = database
        self._environment = None if environment_key is None else _digest(environment_key)
        self._names: dict[bytes, str] = {}
        self._readable = True
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="key-ring", daemon=True)

    def start(self) -> None:
        """Read the keys, then keep renewing them."""
        self._renew()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def identify(self, presented: str) -> str | None:
        """Return `environment` or the prefix of the key presented; None for a wrong one."""
        digest = _digest(presented)
        if self._environment is not None and hmac.compare_digest(digest, self._environment):
            return ENVIRONMENT
        # How long a dictionary looks tells nothing of a digest that nobody can choose.
        return self._names.get(digest)

    def _run(self) -> None:
        while not self._stopping.wait(RENEW_SECONDS):
            self._renew()

    def _renew(self) -> None:
        in_use = select(api_keys.c.digest, api_keys.c.prefix).where(api_keys.c.revoked_at.is_(None))
        try:
            with self._database.read() as connection:
                self._names = {row.digest: row.prefix for row in connection.execute(in_use)}
        except SQLAlchemyError as error:
            if self._readable:
                log.warning(
                    "API keys cannot be renewed, the known ones go on",
                    error=str(error.__cause__ or error),
                )
            self._readable = False
        else:
            self._readable = True


def _digest(key: str) -> bytes:
    # A header may hold bytes that are no text: they must be wrong keys, not errors.
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
