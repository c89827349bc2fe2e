"""`hudhud serve`, `hudhud worker` and `hudhud migrate`."""

from contextlib import closing

import structlog
import typer
from sqlalchemy.exc import SQLAlchemyError

from hudhud import app
from hudhud.auth.first_credentials import FirstCredentials, announce, ensure_credentials
from hudhud.cli import running_service, startup_notices
from hudhud.cli.greeting import greeting
from hudhud.cli.pairing_qr import PairingWatch, showing_qr
from hudhud.cli.terminal import progress
from hudhud.core import logs
from hudhud.core.env_files import read_environment
from hudhud.core.errors import SettingsError
from hudhud.core.settings import Settings, load_settings
from hudhud.db.engine import Database
from hudhud.db.losses import log_loss
from hudhud.db.migrate import current_revision
from hudhud.maintenance import secret_rotation
from hudhud.verification.build import secret_of

log = structlog.get_logger(__name__)


def serve(context: typer.Context) -> None:
    """Run the API and this machine's sender until Ctrl-C.

    The first start creates the data folder, database, API key and admin password. Until WhatsApp is
    linked, it shows the QR code to scan.
    """
    from hudhud import serve as service  # noqa: PLC0415 -- only this loads the web framework

    settings, database, made = _start("serve")
    with showing_qr(database, settings.sender_name, settings.data_dir) as watch:

        def greet(port: int) -> None:
            _greet(watch, settings, database, port, made)

        service.serve(settings, database, context.obj, greet)


def worker(context: typer.Context) -> None:
    """Run only this machine's sender, with `serve` elsewhere (needs PostgreSQL)."""
    from hudhud import serve as service  # noqa: PLC0415 -- as above

    if load_settings().database_url is None:
        raise SettingsError(
            "`hudhud worker` shares a PostgreSQL database with `serve` on another machine. "
            "Set DATABASE_URL; on one machine `hudhud serve` is enough."
        )
    settings, database, _ = _start("worker")
    with showing_qr(database, settings.sender_name, settings.data_dir):
        _remember(database, settings, port=None)
        service.work(settings, database, context.obj)


def migrate() -> None:
    """Migrate the database to this version; `serve` does so automatically."""
    settings = load_settings()
    with (
        progress("Migrating the database …"),
        closing(app.open_installation(settings)) as database,
    ):
        revision = current_revision(database)
    typer.echo(f"The database is at revision {revision}.")


def _start(process: str) -> tuple[Settings, Database, FirstCredentials | None]:
    """Read the settings, log notices, open the database, create missing credentials."""
    from hudhud.serve import end_by_signal  # noqa: PLC0415 -- as above

    end_by_signal()  # also while starting
    settings = load_settings()
    logs.configure(settings, process=process)
    for notice in startup_notices.notices(read_environment(), settings):
        log.warning(notice)
    database = app.open_installation(settings)
    database.losses.on_loss = log_loss
    return settings, database, _make_ready(settings, database)


def _make_ready(settings: Settings, database: Database) -> FirstCredentials | None:
    """Create missing credentials and put a new secret into effect."""
    secret, previous = secret_of(settings), settings.session_secret_previous
    made = ensure_credentials(
        database,
        app.credentials_of(settings),
        lambda made: announce(made, settings.data_dir),
        secret=secret,
        previous_secret=previous,
    )
    password = app.build_admin_password(settings)
    secret_rotation.take_over(database, password, secret=secret, previous_secret=previous)
    return made


def _remember(database: Database, settings: Settings, port: int | None) -> None:
    try:
        running_service.remember(database, settings, port)
    except SQLAlchemyError as error:  # the service can wait for its database, also now
        log.warning("`hudhud doctor` will not know this service's settings", error=str(error))


def _greet(
    watch: PairingWatch,
    settings: Settings,
    database: Database,
    port: int,
    made: FirstCredentials | None,
) -> None:
    """Record, log and print where Hudhud listens."""
    _remember(database, settings, port)
    host = "localhost" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    log.info("listening", address=address, channel=settings.channel)
    watch.greet(greeting(settings, address, made))
