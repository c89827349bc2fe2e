"""`hudhud templates`: check the operator's own texts and preview all wordings."""

from collections.abc import Sequence, Sized
from typing import Annotated

import typer

from hudhud.cli.durations import METAVAR, Duration, duration
from hudhud.cli.help import CommandTyper
from hudhud.cli.terminal import warn
from hudhud.core import code_lengths
from hudhud.core.clock import DAY_MS, MINUTE_MS
from hudhud.core.errors import BadRequest, SettingsError
from hudhud.core.plain_text import shortened
from hudhud.core.settings import load_settings
from hudhud.messages.templates import locales
from hudhud.messages.templates.catalog import (
    FILE,
    LONGEST_SHOWN,
    LinkText,
    with_code,
)
from hudhud.messages.templates.operator_file import read
from hudhud.verification.build import build_templates
from hudhud.verification.links.tokens import new_token

SAMPLE_CODE = "4728190536"
SHORTEST, LONGEST = Duration(MINUTE_MS), Duration(DAY_MS)
LINK_TEXTS: tuple[LinkText, ...] = ("link_reply", "link_verify", "link_approved", "link_refused")

templates = CommandTyper("Check your own message texts and preview all wordings.")


@templates.command()
def check() -> None:
    """Check templates.toml in the data folder and list its errors."""
    file = load_settings().data_dir / FILE
    try:
        own = read(file)
    except SettingsError as error:
        for problem in str(error).splitlines():
            warn(problem)
        raise typer.Exit(code=1) from None
    if not file.exists():
        typer.echo(f"There is no {file}: the built-in texts are used.")
        return
    typer.echo(f"{file} is valid: {_counted(own.texts, 'text')}, {_counted(own.keys, 'key')}.")


@templates.command()
def preview(
    *,
    template: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The template; that of the key, else otp, by default."),
    ] = None,
    locale: Annotated[
        str | None,
        typer.Option(
            metavar="LANGUAGE",
            help="The language, like ar; that of the key, else DEFAULT_LOCALE, by default.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the API key that requests the code."),
    ] = None,
    validity: Annotated[
        Duration | None,
        typer.Option(
            parser=duration,
            metavar=METAVAR,
            help="Validity of the code, 1m to 1d; OTP_TTL_SECONDS by default.",
        ),
    ] = None,
) -> None:
    """Print every wording of a template and of the link's texts."""
    settings = load_settings()
    texts = build_templates(settings)
    chosen = texts.choose_locale("", locale, key)
    if locale is not None and locales.closest(locale, (chosen,)) is None:
        warn(
            f"There are no texts in {shortened(locale, LONGEST_SHOWN)}. These are in {chosen}; a "
            "request may get those of the number's country."
        )
    ttl_seconds = settings.otp_ttl_seconds if validity is None else _seconds(validity)
    name, bodies = texts.code_texts(template, chosen, key_name=key, ttl_seconds=ttl_seconds)
    code = SAMPLE_CODE[: settings.otp_length or code_lengths.CHECKED_HERE]
    _print(name, [with_code(body, code) for body in bodies])
    for text in LINK_TEXTS:
        _print(text, texts.link_texts(text, chosen, key_name=key, token=new_token()))


def _seconds(validity: Duration) -> int:
    if not SHORTEST.milliseconds <= validity.milliseconds <= LONGEST.milliseconds:
        raise BadRequest(f"A code is valid for {SHORTEST} to {LONGEST}, not for {validity}.")
    return validity.seconds


def _print(name: str, wordings: Sequence[str]) -> None:
    for number, wording in enumerate(wordings, start=1):
        typer.echo(f"--- {name}, {number} of {len(wordings)}\n{wording}\n")


def _counted(found: Sized, noun: str) -> str:
    count = len(found)
    return f"{count} {noun}{'' if count == 1 else 's'}"
