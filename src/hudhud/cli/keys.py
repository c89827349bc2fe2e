"""`hudhud keys`: create, list, rotate and revoke API keys."""

from contextlib import closing
from typing import Annotated, Any

import typer
from sqlalchemy import Row

from hudhud import app
from hudhud.auth import api_keys
from hudhud.auth.api_key_settings import DEFAULT_SCOPES
from hudhud.cli.changes import changing, note
from hudhud.cli.durations import METAVAR, Duration, duration
from hudhud.cli.help import CommandTyper
from hudhud.cli.tables import ago, ahead, table
from hudhud.cli.terminal import existing_installation, progress, warn
from hudhud.core import code_lengths
from hudhud.core.clock import now_ms
from hudhud.core.errors import CommandFailed
from hudhud.core.rates import KINDS
from hudhud.core.sentences import say
from hudhud.core.settings import load_settings
from hudhud.db.locks import Lock, lock

USUAL_OVERLAP = Duration(api_keys.OVERLAP_MS)
HEADINGS = ("prefix", "name", "created", "last used", "state", "settings")
ONCE = "Store it safely, it is shown only once:"

keys = CommandTyper("Create, list, rotate and revoke API keys.")


@keys.command()
def create(
    *,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Name of the program that uses the key, like webshop."),
    ],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help="Permission: send (request codes), verify (check them), read (see their status), "
            "sandbox (read the sandbox's messages), admin (everything, including /admin). "
            f"Repeatable; {', '.join(DEFAULT_SCOPES)} by default.",
        ),
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Create a test key, whose messages go to the sandbox.")
    ] = False,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=LIMIT",
            help="Limit for this key, like per_number=1/30s,5/1h, or per_prefix=0 for none. "
            f"Kinds: {', '.join(KINDS)}. Repeatable.",
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            metavar="DIGITS",
            min=code_lengths.SHORTEST,
            max=code_lengths.LONGEST,
            help="Digits of its codes. By default OTP_LENGTH, if that is set; else "
            f"{code_lengths.CHECKED_HERE} with the scope verify, {code_lengths.EARLIER} without.",
        ),
    ] = None,
    hide_code: Annotated[
        bool | None,
        typer.Option(
            "--hide-code/--show-code",
            help="Omit the code from responses, or show it to programs that compare codes "
            "themselves. By default omitted with the scope verify.",
        ),
    ] = None,
    allow_link_verify: Annotated[
        bool,
        typer.Option(
            "--allow-link-verify",
            help="Allow links that approve without a code; read docs/api.md first.",
        ),
    ] = False,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="NETWORK",
            help="Address or network from which the key may be used. Repeatable; any by default.",
        ),
    ] = None,
    expires_in: Annotated[
        Duration | None,
        typer.Option(
            parser=duration,
            metavar=METAVAR,
            help="How long the key works, like 90d; without end by default.",
        ),
    ] = None,
) -> None:
    """Create an API key and print it once; only its hash is kept."""
    now = now_ms()
    expires_at = None if expires_in is None else now + expires_in.milliseconds
    with progress("Opening the database …"):
        database = app.open_installation(load_settings())
    with closing(database), database.write() as connection:
        lock(connection, Lock.API_KEYS)
        key = api_keys.create(
            connection,
            name,
            scope or DEFAULT_SCOPES,
            is_test=test,
            hides_code=hide_code,
            may_link_verify=allow_link_verify,
            limits=" ".join(limit or ()),
            networks=source or (),
            code_length=length,
            expires_at=expires_at,
            now=now,
        )
        made = api_keys.stored(connection, key)
        detail = say("key.scopes", detail=api_keys.described(made))
        note(connection, "key_made", made.name, detail)
    warn(f"The key {made.name}, for the header X-API-KEY. {ONCE}")
    typer.echo(key)


@keys.command("list")
def list_all() -> None:
    """List the API keys with settings, last use and state."""
    settings = load_settings()
    with existing_installation(settings) as database, database.read() as connection:
        found = api_keys.list_keys(connection)
        used_at = api_keys.environment_used_at(connection)
    now = now_ms()
    newest = {key.owner: key.prefix for key in found if api_keys.still_works(key, now)}
    if found:
        rows = [_row(key, now, is_newest=newest.get(key.owner) == key.prefix) for key in found]
        typer.echo(table(HEADINGS, rows))
    if settings.api_key is not None:
        used = "never used" if used_at is None else f"last used {ago(used_at, now)}"
        warn(f"The API_KEY of the settings also works, {used}.")
    elif not found:
        warn("There is no key yet. Create one with: hudhud keys create NAME")


@keys.command()
def rotate(
    *,
    key: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The key's name, or its prefix in `keys list`."),
    ],
    overlap: Annotated[
        Duration,
        typer.Option(
            parser=duration,
            metavar=METAVAR,
            help="How long the earlier secret still works, 0s to 30d.",
        ),
    ] = USUAL_OVERLAP,
) -> None:
    """Issue a new secret for an API key and print it once.

    The key keeps its name, settings and verifications. The earlier secret expires after an overlap.
    """
    with changing(load_settings()) as connection:
        lock(connection, Lock.API_KEYS)
        now = now_ms()
        owner = api_keys.owner_of(connection, key.removesuffix("…"), now=now)
        new = owner and api_keys.rotate(connection, owner, overlap_ms=overlap.milliseconds, now=now)
        if not new:
            raise CommandFailed(_unknown(key))
        note(connection, "key_rotated", new.name, new.sentence)
    warn(f"The new secret of {new.name}. {new.sentence.english()} {ONCE}")
    typer.echo(new.key)


@keys.command()
def revoke(
    key: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="The key's name, to revoke all its secrets, or a secret's prefix in `keys list`.",
        ),
    ],
) -> None:
    """Revoke an API key or one of its secrets within two seconds."""
    with changing(load_settings()) as connection:
        revoked = api_keys.revoke(connection, key.removesuffix("…"), now=now_ms())
        if revoked is not None:
            note(connection, "key_revoked", revoked)
    if revoked is None:
        raise CommandFailed(_unknown(key))
    typer.echo("The key is revoked.")


def _row(key: Row[Any], now: int, *, is_newest: bool) -> list[str]:
    return [
        f"{key.prefix}…",
        key.name,
        ago(key.created_at, now),
        ago(key.last_used_at, now),
        _state(key, now=now, is_newest=is_newest),
        api_keys.described(key).english(),
    ]


def _state(key: Row[Any], *, now: int, is_newest: bool) -> str:
    if key.revoked_at is not None:
        return f"revoked {ago(key.revoked_at, now)}"
    if not api_keys.still_works(key, now):
        return f"expired {ago(key.expires_at, now)}"
    use = "in use" if is_newest else "replaced"
    return use if key.expires_at is None else f"{use}, ends {ahead(key.expires_at, now)}"


def _unknown(key: str) -> str:
    return f"No key in use has the name or prefix {key}. See: hudhud keys list"
