"""`hudhud forget`: put a pseudonym in the place of a phone number."""

from typing import Annotated

import typer

from hudhud.auth.audit_log import COMMAND_LINE
from hudhud.cli.terminal import existing_installation, phone_from, progress
from hudhud.core.errors import CommandFailed
from hudhud.core.settings import load_settings
from hudhud.maintenance.forget import forget as forget_number


def forget(
    number: Annotated[
        str,
        typer.Argument(metavar="+NUMBER", help="The person's phone number, like +201001234567."),
    ],
) -> None:
    """Forget a phone number: a pseudonym takes its place in all that is stored.

    Codes, references and metadata of its verifications are erased, and what waits is canceled.
    Works beside a running service. Ends with 1 where something is left.
    """
    phone = phone_from(number)
    with (
        existing_installation(load_settings()) as database,
        progress("Putting a pseudonym in the number's place …"),
    ):
        done = forget_number(database, phone.number, who=COMMAND_LINE)
    changed = ", ".join(f"{count} {name}" for name, count in sorted(done.rows.items()) if count)
    typer.echo(f"Rows changed or deleted: {changed or 'none'}.")
    if done.left:
        raise CommandFailed(
            f"The number is left in: {', '.join(done.left)}. Run this command again; what you "
            "wrote yourself, as the name of a key or the address of a webhook, change there."
        )
    typer.echo(f"No trace is left. In its place stands {done.pseudonym}.")
