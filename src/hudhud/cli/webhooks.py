"""`hudhud webhooks`: the endpoints that receive events, and their deliveries."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer
from sqlalchemy import Connection

from hudhud import app
from hudhud.auth import api_keys, caller
from hudhud.auth.secret_check import check_secret
from hudhud.cli.changes import changing, note
from hudhud.cli.durations import METAVAR, Duration, duration
from hudhud.cli.help import CommandTyper
from hudhud.cli.tables import table
from hudhud.cli.terminal import existing_installation, progress, warn
from hudhud.cli.webhook_rows import (
    DELIVERY_HEADINGS,
    ENDPOINT_HEADINGS,
    delivery_row,
    endpoint_rows,
)
from hudhud.core.clock import now_ms
from hudhud.core.crypto import Cipher
from hudhud.core.errors import BadRequest, CommandFailed
from hudhud.core.rates import parse_span
from hudhud.core.sentences import say
from hudhud.core.settings import Settings, load_settings
from hudhud.db.batches import Batches
from hudhud.db.engine import Database
from hudhud.verification.build import secret_of
from hudhud.webhooks import deliveries, delivery_log, delivery_states, endpoints
from hudhud.webhooks.address_policy import shown
from hudhud.webhooks.endpoints import Signed
from hudhud.webhooks.event_types import KINDS

AT_ONCE = 1000
LISTED = 20
USUAL_OVERLAP = Duration(endpoints.OVERLAP_MS)
ADD_ONE = "Add one with: hudhud webhooks add URL"

Endpoint = Annotated[
    int, typer.Argument(metavar="ID", help="The endpoint's number in `webhooks list`.")
]

hooks = CommandTyper("Manage the endpoints that receive events, and their deliveries.")


@hooks.command()
def add(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="Address for the events, like https://shop.example/hudhud."
        ),
    ],
    event: Annotated[
        list[str] | None,
        typer.Option(
            "--event",
            metavar="EVENT",
            help=f"One of {', '.join(KINDS)}. Repeatable; all by default.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="NAME",
            help="Only events of this API key (API_KEY for that of the settings); by default "
            "those of all keys and of the senders.",
        ),
    ] = None,
) -> None:
    """Add an endpoint and print its signing secret once."""
    settings = load_settings()
    with progress("Resolving the address …"):
        app.build_address_policy(settings).check(url)
    with changing(settings) as connection:
        added = endpoints.add(
            connection,
            _cipher(connection, settings),
            url=url,
            kinds=event or (),
            owner=None if key is None else _owner_of(connection, key),
            now=now_ms(),
        )
        note(connection, "webhook_added", shown(url))
    _show(added, f"Endpoint {added.id} was added.")


@hooks.command("list")
def list_all() -> None:
    """List the endpoints with events, key, state and waiting or failed deliveries."""
    with existing_installation(load_settings()) as database, database.read() as connection:
        rows = endpoint_rows(connection, now_ms())
    if rows:
        typer.echo(table(ENDPOINT_HEADINGS, rows))
    else:
        warn(f"There is no endpoint yet. {ADD_ONE}")


@hooks.command()
def remove(endpoint: Endpoint) -> None:
    """Remove an endpoint and its waiting deliveries."""
    with changing(load_settings()) as connection:
        url = endpoints.remove(connection, endpoint)
        if url is None:
            raise _no_such_endpoint(endpoint)
        note(connection, "webhook_removed", shown(url))
    typer.echo(f"Endpoint {endpoint} was removed: {shown(url)}")


@hooks.command()
def enable(endpoint: Endpoint) -> None:
    """Enable an endpoint that was disabled because it answered 410."""
    with changing(load_settings()) as connection:
        url = endpoints.enable(connection, endpoint, now=now_ms())
        if url is None and endpoints.find(connection, endpoint) is None:
            raise _no_such_endpoint(endpoint)
        if url is not None:
            note(connection, "webhook_enabled", shown(url))
    typer.echo(f"Endpoint {endpoint} is {'already enabled' if url is None else 'enabled'}.")


@hooks.command()
def rotate(
    endpoint: Endpoint,
    overlap: Annotated[
        Duration,
        typer.Option(
            parser=duration,
            metavar=METAVAR,
            help="How long the earlier secret also signs, 0s to 30d.",
        ),
    ] = USUAL_OVERLAP,
) -> None:
    """Issue a new secret for an endpoint and print it once."""
    settings = load_settings()
    with changing(settings) as connection:
        cipher = _cipher(connection, settings)
        rotated = endpoints.rotate(
            connection, cipher, endpoint, now=now_ms(), overlap_ms=overlap.milliseconds
        )
        if rotated is None:
            raise _no_such_endpoint(endpoint)
        note(connection, "webhook_rotated", shown(rotated.url))
    _show(rotated, f"The earlier secret also signs for {overlap}.")


@hooks.command("deliveries")
def list_deliveries(
    endpoint: Annotated[
        int | None,
        typer.Argument(metavar="ID", help="Only deliveries to this endpoint; all by default."),
    ] = None,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Only failed deliveries.")] = False,
    before: Annotated[
        int | None,
        typer.Option(
            metavar="DELIVERY", help="Only deliveries before this one, for the next page."
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=AT_ONCE, metavar="COUNT", help="Number of deliveries.")
    ] = LISTED,
) -> None:
    """List the latest deliveries with endpoint, event, state and time."""
    with existing_installation(load_settings()) as database, database.read() as connection:
        rows = delivery_log.page(
            connection,
            endpoint_id=endpoint,
            status=delivery_states.FAILED if failed else None,
            before=before,
            limit=limit,
        )
        reason = _why_empty(connection, endpoint, is_filtered=failed or before is not None)
    if rows:
        now = now_ms()
        typer.echo(table(DELIVERY_HEADINGS, [delivery_row(row, now) for row in rows]))
    else:
        warn(reason)


@hooks.command()
def replay(
    delivery: Annotated[
        int | None,
        typer.Argument(metavar="DELIVERY", help="The delivery's number in `webhooks deliveries`."),
    ] = None,
    endpoint: Annotated[
        int | None,
        typer.Option(metavar="ID", help="Instead: all failed deliveries to this endpoint."),
    ] = None,
    since: Annotated[
        str,
        typer.Option(
            metavar="DURATION|TIME",
            help="With --endpoint: since when, like 24h, 7d or 2026-01-31T08:00Z.",
        ),
    ] = "24h",
) -> None:
    """Replay one delivery, or all failed ones, under the same id."""
    if (delivery is None) == (endpoint is None):
        raise BadRequest("Name one delivery, or an endpoint with --endpoint.")
    if delivery is not None:
        _replay_one(delivery)
    elif endpoint is not None:
        _replay_failed(endpoint, _moment(since))


def _why_empty(connection: Connection, endpoint: int | None, *, is_filtered: bool) -> str:
    if not endpoints.list_endpoints(connection):
        return f"There is no endpoint yet, so nothing is delivered. {ADD_ONE}"
    if endpoint is not None and endpoints.find(connection, endpoint) is None:
        return str(_no_such_endpoint(endpoint))
    if is_filtered:
        return "No delivery matches. To list all: hudhud webhooks deliveries"
    return "There is no delivery yet. To cause an event, send a code: hudhud send PHONE"


def _replay_one(delivery: int) -> None:
    with changing(load_settings()) as connection:
        if not delivery_log.replay(connection, delivery, now=now_ms()):
            raise CommandFailed(
                f"There is no delivery {delivery}, or it is being sent. "
                "See: hudhud webhooks deliveries"
            )
        note(connection, "webhook_replayed", str(delivery))
        behind = delivery_log.behind(connection, delivery)
    if behind is None:
        typer.echo(f"Delivery {delivery} is queued again.")
    else:
        typer.echo(f"Delivery {delivery} is queued again, behind delivery {behind}.")


def _replay_failed(endpoint: int, since: int) -> None:
    total = 0
    with existing_installation(load_settings()) as database:
        while True:
            with database.write() as connection:
                found = endpoints.find(connection, endpoint)
                if found is None:
                    raise _no_such_endpoint(endpoint)
                count = delivery_log.replay_failed(
                    connection, endpoint_id=endpoint, since=since, limit=AT_ONCE, now=now_ms()
                )
                if count or not total:
                    detail = say("webhook.replayed", count=count)
                    note(connection, "webhook_replayed", shown(found.url), detail)
                database.notify(connection)
            total += count
            if count < AT_ONCE:
                break
        _retry_now(database, endpoint)
    typer.echo(f"Deliveries queued again: {total}.")


def _retry_now(database: Database, endpoint: int) -> None:
    """Retry waiting deliveries now, because they block those behind them."""
    now = now_ms()
    with database.read() as connection:
        waiting = deliveries.find_retries(connection, endpoint, now=now)
    Batches(database).each(waiting, partial(_retry_some_now, database, now))


def _retry_some_now(
    database: Database, now: int, connection: Connection, some: Sequence[int]
) -> None:
    deliveries.retry_now(connection, some, now=now)
    database.notify(connection)


def _cipher(connection: Connection, settings: Settings) -> Cipher:
    """Build the cipher if the secret is the service's. Raises StartRefused otherwise."""
    check_secret(connection, secret_of(settings), settings.session_secret_previous)
    return app.build_webhook_cipher(settings)


def _owner_of(connection: Connection, key: str) -> str:
    if key in (caller.ENVIRONMENT, "API_KEY"):
        return caller.ENVIRONMENT
    owner = api_keys.owner_of(connection, key, now=now_ms())
    if owner is None:
        raise CommandFailed(f"No key in use is named {key}. See: hudhud keys list")
    return owner


def _no_such_endpoint(endpoint: int) -> CommandFailed:
    return CommandFailed(f"There is no endpoint {endpoint}. See: hudhud webhooks list")


def _show(signed: Signed, sentence: str) -> None:
    warn(
        f"{sentence} Its secret, for verifying signatures; store it safely, it is shown only once:"
    )
    typer.echo(signed.secret)


def _moment(text: str) -> int:
    """Parse `24h`, `7d` or ISO 8601 into ms. Raises BadRequest."""
    ago = parse_span(text)
    if ago is not None:
        return now_ms() - ago
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"{text} is not a time. Write 24h, 7d or 2026-01-31T08:00Z.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
