"""`hudhud admin`: the admin's password, second factor and failed logins."""

import sys
from contextlib import closing
from typing import Annotated

import typer

from hudhud import app
from hudhud.auth import admin_password, first_credentials, login_attempts, second_factor
from hudhud.cli.changes import changing, note
from hudhud.cli.help import CommandTyper
from hudhud.cli.terminal import progress
from hudhud.core.errors import BadRequest, CommandFailed, SettingsError
from hudhud.core.settings import load_settings

admin = CommandTyper("Set the admin's password, or restore lost access.")


@admin.command("set-password")
def set_password() -> None:
    """Set the admin's password and end every session.

    Prompts twice on a terminal; otherwise reads one line from standard input.
    """
    settings = load_settings()
    if settings.admin_password is not None:
        raise SettingsError(
            "ADMIN_PASSWORD is set and overrides the stored password. Change it and restart "
            "Hudhud, or unset it and run this command again."
        )
    password_hash = admin_password.hash_password(_read_password())
    with progress("Opening the database …"):
        database = app.open_installation(settings)
    with closing(database), database.write() as connection:
        admin_password.store(
            connection, username=settings.admin_username, password_hash=password_hash
        )
        note(connection, "password_changed", settings.admin_username)
    first_credentials.drop_password(settings.data_dir)
    typer.echo(f"The password of {settings.admin_username} is set. Every session has ended.")


@admin.command()
def unlock(
    address: Annotated[
        str | None,
        typer.Argument(
            metavar="ADDRESS",
            help="The locked-out IP address, for IPv6 with its /48; by default everyone.",
        ),
    ] = None,
) -> None:
    """Clear failed logins, so that an address need not wait 15 minutes."""
    with changing(load_settings()) as connection:
        count = login_attempts.unlock(connection, address)
        note(connection, "unlocked", address)
    typer.echo(f"Failed logins cleared: {count}.")


@admin.command("reset-second-factor")
def reset_second_factor() -> None:
    """Turn off the second factor after losing phone and recovery codes."""
    settings = load_settings()
    with changing(settings) as connection:
        was_there = second_factor.turn_off(connection, settings.admin_username)
        if was_there:
            note(connection, "second_factor_off", settings.admin_username)
    if not was_there:
        raise CommandFailed(f"{settings.admin_username} has no second factor.")
    typer.echo("The second factor is off. Turn it on again at /admin/second-factor.")


def _read_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password: str = typer.prompt("New password", hide_input=True, err=True)
    if typer.prompt("Once more", hide_input=True, err=True) != password:
        raise BadRequest("The two passwords differ. Nothing was changed.")
    return password
