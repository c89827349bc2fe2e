"""API keys: made, listed, revoked, and recognised in a request within microseconds.

A key is 256 random bits, so its plain SHA-256 digest is enough to store; argon2 is for passwords,
which people choose.
"""

import hmac
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal, get_args

import structlog
from sqlalchemy import Connection, Row, select, update
from sqlalchemy.exc import SQLAlchemyError

from hudhud.clock import now_ms
from hudhud.db.engine import Database
from hudhud.db.tables import api_keys
from hudhud.errors import BadRequest
from hudhud.plain_text import is_plain
from hudhud.settings import Network

MARK = "hh_live_"
KEY_BYTES = 32
SHOWN_CHARACTERS = 6
LONGEST_NAME = 60
RENEW_SECONDS = 1.0
ENVIRONMENT = "environment"

# sandbox: read what the sandbox took; admin: everything, also under /admin.
Scope = Literal["send", "verify", "read", "sandbox", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the owner of what the request makes, and what its key may do.

    `limits` are the key's own; the key of the environment has none unless the settings say so.
    """

    owner: str
    name: str
    scopes: frozenset[Scope]
    hides_code: bool = False
    may_link_verify: bool = False
    is_test: bool = False
    limits: str | None = None
    networks: tuple[Network, ...] = ()

    @property
    def is_environment(self) -> bool:
        """Whether it is the key of `API_KEY`."""
        return self.owner == ENVIRONMENT

    def may(self, scope: Scope) -> bool:
        """Tell whether the key has this scope; admin has all."""
        return scope in self.scopes or "admin" in self.scopes

    def sees(self, owner: str) -> bool:
        """Tell whether what `owner` made exists for this key."""
        return owner == self.owner or "admin" in self.scopes


def create(connection: Connection, name: str, scopes: Iterable[str] = ("send",)) -> str:
    """Make a key and return it: only its digest is stored, so this is the only time it is seen.

    Raises BadRequest where the name is empty, too long, that of a key in use or holds control
    characters, or where the scopes are none or unknown.
    """
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        raise BadRequest(f"A key's name has 1 to {LONGEST_NAME} characters.")
    if not is_plain(name):
        raise BadRequest("A key's name holds no control characters.")
    if any(key.name == name for key in _in_use(connection)):
        raise BadRequest(f"A key named {name} exists already. Choose another name, or revoke it.")
    key = MARK + secrets.token_urlsafe(KEY_BYTES)
    connection.execute(
        api_keys.insert().values(
            name=name,
            prefix=readable_prefix(key),
            digest=_digest(key),
            scopes=_in_order(scopes),
            created_at=now_ms(),
        )
    )
    return key


def readable_prefix(key: str) -> str:
    """Return the part of a key by which lists and logs may name it."""
    return key[: len(MARK) + SHOWN_CHARACTERS]


def any_in_use(connection: Connection) -> bool:
    """Tell whether there is a key that may send and is not revoked."""
    in_use = connection.execute(select(api_keys.c.scopes).where(api_keys.c.revoked_at.is_(None)))
    return any(_may(key, "send") for key in in_use)


def list_keys(connection: Connection) -> list[Row[Any]]:
    """Return name, prefix, scopes, created_at and revoked_at of every key, the oldest first."""
    columns = ("name", "prefix", "scopes", "created_at", "revoked_at")
    return list(
        connection.execute(
            select(*(api_keys.c[column] for column in columns)).order_by(api_keys.c.id)
        )
    )


def revoke(connection: Connection, prefix_or_name: str) -> str | None:
    """Revoke the one key in use with this name, or whose prefix starts so.

    It stops working within two seconds. Returns its name, None where there is no such key.
    Raises BadRequest where several keys are meant.
    """
    found = [key for key in _in_use(connection) if _means(prefix_or_name, key)]
    if len(found) > 1:
        prefixes = ", ".join(key.prefix for key in found)
        raise BadRequest(f"Several keys fit {prefix_or_name}: {prefixes}. Write more of the one.")
    return _end(connection, found[0]) if found else None


def revoke_exactly(connection: Connection, prefix: str) -> str | None:
    """Revoke the key in use with this prefix, whatever others are named; return its name."""
    found = [key for key in _in_use(connection) if key.prefix == prefix]
    return _end(connection, found[0]) if found else None


def _end(connection: Connection, key: Row[int, str, str]) -> str | None:
    result = connection.execute(
        update(api_keys)
        .where(api_keys.c.id == key.id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now_ms())
    )
    return key.name if result.rowcount == 1 else None


def _in_use(connection: Connection) -> list[Row[int, str, str]]:
    columns = select(api_keys.c.id, api_keys.c.name, api_keys.c.prefix)
    return list(
        connection.execute(columns.where(api_keys.c.revoked_at.is_(None)).order_by(api_keys.c.id))
    )


def _in_order(scopes: Iterable[str]) -> str:
    """Return the scopes as they are stored. Raises BadRequest."""
    wanted = set(scopes)
    if not wanted or not wanted.issubset(SCOPES):
        raise BadRequest(f"A key needs one or more of these scopes: {', '.join(SCOPES)}.")
    return " ".join(scope for scope in SCOPES if scope in wanted)


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
        self._senders: dict[bytes, str] = {}
        self._admins: dict[bytes, str] = {}
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
        """Return `environment` or the prefix of the key presented; None for one that may not send.

        Those of the environment and of scope send may.
        """
        digest = _digest(presented)
        if self._environment is not None and hmac.compare_digest(digest, self._environment):
            return ENVIRONMENT
        # How long a dictionary looks tells nothing of a digest that nobody can choose.
        return self._senders.get(digest)

    def admin_name(self, presented: str) -> str | None:
        """Return the name of the key presented where its scope is admin, else None."""
        return self._admins.get(_digest(presented))

    def _run(self) -> None:
        while not self._stopping.wait(RENEW_SECONDS):
            self._renew()

    def _renew(self) -> None:
        in_use = select(api_keys).where(api_keys.c.revoked_at.is_(None))
        try:
            with self._database.read() as connection:
                rows = connection.execute(in_use).all()
        except SQLAlchemyError as error:
            if self._readable:
                log.warning(
                    "API keys cannot be renewed, the known ones go on",
                    error=str(error.__cause__ or error),
                )
            self._readable = False
        else:
            self._senders = {row.digest: row.prefix for row in rows if _may(row, "send")}
            self._admins = {row.digest: row.name for row in rows if _may(row, "admin")}
            self._readable = True


def _may(row: Row[Any], scope: Scope) -> bool:
    return scope in row.scopes.split()


def _digest(key: str) -> bytes:
    # A header may hold bytes that are no text: they must be wrong keys, not errors.
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
