"""`hudhud forget`: replace a phone number with a pseudonym."""

from typing import Annotated

import typer

from hudhud.auth.audit_log import COMMAND_LINE
from hudhud.cli.terminal import existing_installation, known_phone_from, progress
from hudhud.core.errors import CommandFailed
from hudhud.core.phones import mask_phone
from hudhud.core.settings import load_settings
from hudhud.maintenance.forget import forget as forget_number


def forget(
    number: Annotated[
        str,
        typer.Argument(metavar="PHONE", help="The person's phone number, like +201001234567."),
    ],
) -> None:
    """Replace a phone number with a pseudonym in all stored data.

    Includes its other spellings, and other numbers of the same WhatsApp account. Erases the codes,
    references and metadata of its verifications, and cancels waiting messages.
    Works while the service runs. Exits with 1 if a trace is left.
    """
    phone = known_phone_from(number)
    with (
        existing_installation(load_settings()) as database,
        progress("Replacing the number …"),
    ):
        done = forget_number(database, phone.number, who=COMMAND_LINE)
    others = [mask_phone(one) for one in done.numbers if one != phone.number]
    if others:
        typer.echo(f"Also forgotten, of the same WhatsApp account: {', '.join(others)}.")
    changed = ", ".join(f"{count} {name}" for name, count in sorted(done.rows.items()) if count)
    typer.echo(f"Rows changed or deleted: {changed or 'none'}.")
    if done.left:
        raise CommandFailed(
            f"The number is left in: {', '.join(done.left)}. Run this command again. If it is in "
            "the name of a key or the address of a webhook, change it there."
        )
    typer.echo(f"No trace is left. The pseudonym is {done.pseudonym}.")
