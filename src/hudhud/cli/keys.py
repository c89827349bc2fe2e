"""`hudhud keys`: make, list and revoke the keys that callers of the API send."""

from contextlib import closing
from typing import Annotated

import typer
from sqlalchemy import Connection

from hudhud import api_keys, app, audit
from hudhud.audit import COMMAND_LINE, What
from hudhud.cli.terminal import existing_installation, progress, warn
from hudhud.clock import iso, now_ms
from hudhud.errors import CommandFailed
from hudhud.settings import load_settings

keys = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Who will use it, for example: webshop.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            help="What it may do: send (the API) or admin (what is under /admin). Several may be "
            "given; send where none is.",
        ),
    ] = None,
) -> None:
    """Make an API key and print it. It is shown only this once: only its hash is kept."""
    with progress("Opening the database …"):
        database = app.open_installation(load_settings())
    with closing(database), database.write() as connection:
        database.lock_for_keys(connection)
        key = api_keys.create(connection, name, scope or api_keys.DEFAULT_SCOPES, now=now_ms())
        _note(connection, "key_made", name.strip())
    warn(f"The key {name}, for the header X-API-KEY. Keep it safe, it is shown only this once:")
    typer.echo(key)


@keys.command("list")
def list_all() -> None:
    """List the API keys: name, beginning, scopes, and since when they work or work no more."""
    settings = load_settings()
    with existing_installation(settings) as database, database.read() as connection:
        found = api_keys.list_keys(connection)
    for key in found:
        ended = "in use" if key.revoked_at is None else f"revoked {iso(key.revoked_at)}"
        typer.echo(f"{key.prefix}…  {key.name}  {key.scopes}  made {iso(key.created_at)}  {ended}")
    if settings.api_key is not None:
        warn("API_KEY of the settings works too.")
    elif not found:
        warn("There is no key yet. Make one with: hudhud keys create NAME")


@keys.command()
def revoke(
    key: Annotated[
        str,
        typer.Argument(
            metavar="PREFIX_OR_NAME", help="Its name, or its beginning as `keys list` shows it."
        ),
    ],
) -> None:
    """Revoke an API key: within two seconds nobody can use it any more."""
    with existing_installation(load_settings()) as database, database.write() as connection:
        revoked = api_keys.revoke(connection, key.removesuffix("…"), now=now_ms())
        if revoked is not None:
            _note(connection, "key_revoked", revoked)
    if revoked is None:
        raise CommandFailed(f"No key in use is named {key} or begins so. See: hudhud keys list")
    typer.echo("The key is revoked.")


def _note(connection: Connection, what: What, name: str) -> None:
    audit.note(connection, who=COMMAND_LINE, address=None, what=what, subject=name, now=now_ms())
