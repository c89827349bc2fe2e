"""Create, list, rotate and revoke API keys; `api_key_cache.py` identifies callers.

A key has a name, settings, and an owner: the identity to which its verifications belong. Each of
its secrets is a row. There is one secret, and after a rotation several until the earlier ones end.

A secret has 256 random bits, so a plain SHA-256 digest is secure enough. argon2 is for passwords
chosen by people.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from hashlib import sha256
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select, update

from hudhud.auth.api_key_settings import (
    DEFAULT_SCOPES,
    Scope,
    WrongSetting,
    require_code_length,
    write_limits,
    write_networks,
    write_scopes,
)
from hudhud.auth.caller import ADMIN, ENVIRONMENT, ENVIRONMENT_NAME, Caller
from hudhud.core import code_lengths
from hudhud.core.clock import DAY_MS, iso
from hudhud.core.errors import BadRequest
from hudhud.core.ip_addresses import parse_networks
from hudhud.core.plain_text import is_plain
from hudhud.core.sentences import Sentence, other, say
from hudhud.db import installation
from hudhud.db.tables import api_keys

LIVE_MARK = "hh_live_"
TEST_MARK = "hh_test_"
KEY_BYTES = 32
SHOWN_CHARACTERS = 6
LONGEST_NAME = 60
ENVIRONMENT_USED = "api_key_used_at"  # a row of `installation`
# Names of the key of API_KEY on the command line and in lists.
RESERVED_NAMES = frozenset({ENVIRONMENT, ENVIRONMENT_NAME})
OVERLAP_MS = DAY_MS
LONGEST_OVERLAP_MS = 30 * DAY_MS

KEPT_BY_ROTATION = (
    "name",
    "owner",
    "scopes",
    "hides_code",
    "may_link_verify",
    "limits",
    "networks",
    "code_length",
    "usual_code_length",
)
_SHOWN = [column for column in api_keys.c if column is not api_keys.c.digest]


@dataclass(frozen=True, slots=True)
class Rotated:
    """A key's new secret, shown only once, and the earlier secrets' end."""

    name: str
    key: str = field(repr=False)
    earlier_end_at: int

    @property
    def sentence(self) -> Sentence:
        """The result for the admin and the audit."""
        return say("key.earlier_works_until", detail=iso(self.earlier_end_at))


def create(
    connection: Connection,
    name: str,
    scopes: Iterable[str] = DEFAULT_SCOPES,
    *,
    is_test: bool = False,
    hides_code: bool | None = None,
    may_link_verify: bool = False,
    limits: str | None = None,
    networks: Iterable[str] = (),
    code_length: int | None = None,
    expires_at: int | None = None,
    now: int,
) -> str:
    """Create a key and return it; only its digest is stored.

    The caller must hold `Lock.API_KEYS`, to keep the name unique. A test key also gets the scope
    `sandbox`, to see its messages. `limits` are those that differ from the settings (`rates.py`);
    without `networks` the key may be used from anywhere. A key that has codes checked here hides
    them from its answers, unless `hides_code` says otherwise, and has longer ones.
    Raises WrongSetting if the name is empty, too long, in use, reserved or has control characters,
    if the scopes are empty or unknown, or if another setting is wrong.
    """
    if expires_at is not None and expires_at <= now:
        raise WrongSetting("expires_at", say("key.expiry_past"))
    require_code_length(code_length)
    key = _new_key(TEST_MARK if is_test else LIVE_MARK)
    written = write_scopes(scopes, is_test=is_test)
    checks = Caller(name, name, _scopes(written)).checks_codes_here
    connection.execute(
        api_keys.insert().values(
            name=_free_name(connection, name, now=now),
            prefix=readable_prefix(key),
            owner=readable_prefix(key),
            digest=digest(key),
            scopes=written,
            hides_code=checks if hides_code is None else hides_code,
            may_link_verify=may_link_verify,
            limits=write_limits(limits),
            networks=write_networks(networks),
            code_length=code_length,
            usual_code_length=code_lengths.CHECKED_HERE if checks else None,
            created_at=now,
            expires_at=expires_at,
        )
    )
    return key


def rotate(
    connection: Connection, owner: str, *, overlap_ms: int = OVERLAP_MS, now: int
) -> Rotated | None:
    """Issue a new secret; earlier ones work for at most `overlap_ms` more.

    Name and settings stay. If the last secret expires, the new one gets the same lifetime. The
    caller must hold `Lock.API_KEYS`. Returns None if no secret of the owner is in use.
    Raises BadRequest if the overlap is longer than 30 days.
    """
    if not 0 <= overlap_ms <= LONGEST_OVERLAP_MS:
        raise BadRequest(say("key.overlap_too_long"))
    ends = [row.expires_at for row in _in_use(connection, now=now) if row.owner == owner]
    if not ends:
        return None
    end = now + overlap_ms if None in ends else min(now + overlap_ms, max(ends))
    # The last secret, even if revoked: rotations have changed the expiry of earlier ones.
    of_owner = select(api_keys).where(api_keys.c.owner == owner)
    last = connection.execute(of_owner.order_by(api_keys.c.id.desc()).limit(1)).mappings().one()
    lifetime = None if last["expires_at"] is None else last["expires_at"] - last["created_at"]
    connection.execute(
        update(api_keys)
        .where(
            api_keys.c.owner == owner,
            api_keys.c.revoked_at.is_(None),
            or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > end),
        )
        .values(expires_at=end)
    )
    key = _new_key(TEST_MARK if is_test_prefix(last["prefix"]) else LIVE_MARK)
    new = {column: last[column] for column in KEPT_BY_ROTATION}
    new |= {"prefix": readable_prefix(key), "digest": digest(key), "created_at": now}
    new["expires_at"] = None if lifetime is None else now + lifetime
    connection.execute(api_keys.insert().values(new))
    return Rotated(last["name"], key, end)


def revoke(connection: Connection, text: str, *, now: int) -> str | None:
    """Revoke the key or secret named by `text`; return the key's name.

    A name or an owner revokes all secrets of the key, the beginning of a secret only that one. It
    takes effect within two seconds. Returns None if nothing is in use under `text`. Raises
    BadRequest if it is ambiguous.
    """
    rows = _in_use(connection, now=now)
    named = {row.owner: row for row in rows if row.name == text}
    begun = [row for row in rows if _begins(text, row.prefix)]
    _only_one(text, [*named.values(), *begun])
    if begun:
        return revoke_secret(connection, begun[0].prefix, now=now)
    return revoke_owner(connection, next(iter(named), text), now=now)


def revoke_owner(connection: Connection, owner: str, *, now: int) -> str | None:
    """Revoke all secrets of the owner; return the key's name or None."""
    return _end(connection, api_keys.c.owner == owner, now=now)


def revoke_secret(connection: Connection, prefix: str, *, now: int) -> str | None:
    """Revoke the secret with this prefix; return the key's name or None."""
    return _end(connection, api_keys.c.prefix == prefix, now=now)


def owner_of(connection: Connection, text: str, *, now: int) -> str | None:
    """Return the owner of the key that `text` names, or None.

    `text` is a name, an owner or the beginning of a secret in use. Raises BadRequest if it is
    ambiguous.
    """
    meant = {
        row.owner: row
        for row in _in_use(connection, now=now)
        if text in (row.name, row.owner) or _begins(text, row.prefix)
    }
    _only_one(text, list(meant.values()))
    return next(iter(meant), None)


def name_of(connection: Connection, owner: str) -> str | None:
    """Return the name of an owner's key, even a revoked one."""
    named = select(api_keys.c.name).where(api_keys.c.owner == owner).limit(1)
    return connection.scalar(named)


def names_in_use(connection: Connection, *, now: int) -> set[str]:
    """Return the names of keys in use, which new keys cannot have."""
    return {row.name for row in _in_use(connection, now=now)}


def list_keys(connection: Connection) -> list[Row[Any]]:
    """Return all secrets ever, oldest first, without their digests."""
    return list(connection.execute(select(*_SHOWN).order_by(api_keys.c.id)))


def stored(connection: Connection, key: str) -> Row[Any]:
    """Return the row of an existing secret, without its digest."""
    found = select(*_SHOWN).where(api_keys.c.prefix == readable_prefix(key))
    return connection.execute(found).one()


def described(key: Row[Any]) -> Sentence:
    """Describe a key's scopes and settings."""
    parts = [
        other(", ".join(key.scopes.split())),
        other(key.limits) if key.limits else None,
        say("key.from", detail=key.networks) if key.networks else None,
        say("key.digits", count=key.code_length) if key.code_length is not None else None,
        say("key.hides_code") if key.hides_code else None,
        say("key.may_link_verify") if key.may_link_verify else None,
        say("key.expires", detail=iso(key.expires_at)) if key.expires_at is not None else None,
    ]
    *earlier, last = [part for part in parts if part is not None]
    return reduce(lambda rest, first: say("key.and", first=first, rest=rest), earlier[::-1], last)


def still_works(key: Row[Any], now: int) -> bool:
    """Return whether a secret is neither revoked nor expired."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def is_in_use(now: int) -> ColumnElement[bool]:
    """Return `still_works` as an SQL condition."""
    return and_(
        api_keys.c.revoked_at.is_(None),
        or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now),
    )


def any_in_use(connection: Connection, *, now: int) -> bool:
    """Return whether any key in use has the scope send."""
    in_use = connection.scalars(select(api_keys.c.scopes).where(is_in_use(now)))
    return any("send" in scopes.split() for scopes in in_use)


def any_test_in_use(connection: Connection, *, now: int) -> bool:
    """Return whether any test key is in use."""
    of_tests = api_keys.c.prefix.startswith(TEST_MARK, autoescape=True)
    found = connection.execute(select(api_keys.c.id).where(of_tests, is_in_use(now)).limit(1))
    return found.first() is not None


def caller(key: Row[Any]) -> Caller:
    """Return the caller who presents this key."""
    return Caller(
        owner=key.owner,
        name=key.name,
        scopes=_scopes(key.scopes),
        hides_code=key.hides_code,
        may_link_verify=key.may_link_verify,
        is_test=is_test_prefix(key.prefix),
        limits=key.limits,
        networks=parse_networks(key.networks or ""),
        code_length=key.code_length,
        usual_code_length=key.usual_code_length,
    )


def owning(connection: Connection, owner: str) -> Caller:
    """Return the owner of a verification; one without a key has no scopes."""
    found = select(*_SHOWN).where(api_keys.c.owner == owner).limit(1)
    key = connection.execute(found).first()
    return Caller(owner, owner, frozenset()) if key is None else caller(key)


def environment_used_at(connection: Connection) -> int | None:
    """Return when `API_KEY` was last used, to the minute, or None."""
    used_at = installation.read(connection, ENVIRONMENT_USED)
    return None if used_at is None else int(used_at)


def note_environment_used(connection: Connection, used_at: int) -> None:
    """Record when `API_KEY` was last used."""
    installation.write(connection, ENVIRONMENT_USED, str(used_at))


def readable_prefix(key: str) -> str:
    """Return a key's non-secret prefix, for lists and logs."""
    return key[: len(LIVE_MARK) + SHOWN_CHARACTERS]


def is_test_prefix(prefix: str) -> bool:
    """Return whether a prefix is that of a test key (sandbox only)."""
    return prefix.startswith(TEST_MARK)


def only_tests(owner: str) -> bool:
    """Return whether an owner's verifications are tests: of a test key, or the admin's."""
    return owner == ADMIN or is_test_prefix(owner)


def digest(key: str) -> bytes:
    """Return the digest of a key, as stored."""
    # A header with invalid Unicode must be a wrong key, not an error.
    return sha256(key.encode("utf-8", "surrogatepass")).digest()


def _scopes(written: str) -> frozenset[Scope]:
    return frozenset(cast("list[Scope]", written.split()))


def _new_key(mark: str) -> str:
    return mark + secrets.token_urlsafe(KEY_BYTES)


def _in_use(connection: Connection, *, now: int) -> list[Row[Any]]:
    columns = select(api_keys.c.name, api_keys.c.prefix, api_keys.c.owner, api_keys.c.expires_at)
    return list(connection.execute(columns.where(is_in_use(now)).order_by(api_keys.c.id)))


def _end(connection: Connection, which: ColumnElement[bool], *, now: int) -> str | None:
    ended = connection.execute(
        update(api_keys)
        .where(which, is_in_use(now))
        .values(revoked_at=now)
        .returning(api_keys.c.name)
    )
    rows = ended.all()
    return rows[0].name if rows else None


def _begins(text: str, prefix: str) -> bool:
    """Return whether `text` is a secret or its beginning."""
    if not text.startswith((LIVE_MARK, TEST_MARK)):
        return False
    return prefix.startswith(text) or text.startswith(prefix)


def _only_one(text: str, meant: list[Row[Any]]) -> None:
    if len(meant) > 1:
        prefixes = ", ".join(row.prefix for row in meant)
        raise BadRequest(f"Several keys match {text}: {prefixes}. Enter more of its characters.")


def _free_name(connection: Connection, name: str, *, now: int) -> str:
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        raise WrongSetting("name", say("key.name_length", detail=LONGEST_NAME))
    if not is_plain(name):
        raise WrongSetting("name", say("key.name_not_plain"))
    if name in RESERVED_NAMES:
        raise WrongSetting("name", say("key.name_reserved"))
    if name in names_in_use(connection, now=now):
        raise WrongSetting("name", say("key.name_taken", name=name))
    return name
