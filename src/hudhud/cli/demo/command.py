"""`hudhud demo`: watch a code arrive, without a phone and without WhatsApp."""

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from hudhud.cli.demo.run import (
    ADMIN,
    BRITISH,
    EGYPTIAN,
    POLL_SECONDS,
    Demo,
    running_demo,
    self_test,
)
from hudhud.cli.terminal import progress

if TYPE_CHECKING:
    from waemu.records import ReceivedMessage

GREETING = """
Hudhud is running and linked to a virtual phone. Nothing leaves this machine.

  Dashboard:  {address}/admin/status
  Log in as:  {admin}, with the password {password}

In another terminal, request a code. Every number has a virtual phone here: an Egyptian one receives
Arabic, a British one ({british}) English.

{curl}

Received messages appear here. Ctrl-C ends the demo and deletes its data.
"""


def demo(
    *,
    only_test: Annotated[
        bool,
        typer.Option(
            "--self-test", help="Send one Arabic and one English message, show both, and exit."
        ),
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Port to listen on; 3000 by default, if it is free.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Watch a code arrive, without a phone and without WhatsApp.

    Runs the real service and the real WhatsApp library against a local WhatsApp server, with
    virtual phones that show what they receive. Takes about a minute and deletes its data.
    """
    with ExitStack() as stack:
        with progress("Starting …") as tell:
            running = stack.enter_context(running_demo(tell, port))
        if only_test:
            self_test(running, _show)
            typer.echo("\nBoth messages arrived, were decrypted and read.")
            return
        typer.echo(_greeting(running))
        _show_all(running)


def _greeting(demo: Demo) -> str:
    return GREETING.format(
        address=demo.address,
        admin=ADMIN,
        password=demo.admin_password,
        curl=demo.curl(EGYPTIAN),
        british=BRITISH,
    )


def _show_all(running: Demo) -> None:
    try:
        while True:
            for message in running.new_messages():
                _show(message)
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        typer.echo("\nThe demo has ended.")


def _show(message: "ReceivedMessage") -> None:
    lines = "\n".join(f"    {line}".rstrip() for line in message.text.splitlines())
    typer.echo(f"{time.strftime('%H:%M:%S')}  The phone {_plus(message.to_number)} received:\n")
    typer.echo(f"{lines}\n")


def _plus(number: str) -> str:
    return "+" + number.removeprefix("+")
