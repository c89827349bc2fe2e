"""Checks of the database and its content."""

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from hudhud.auth import admin_password, api_keys, untrusted_proxy
from hudhud.auth.first_credentials import CREDENTIALS_FILE
from hudhud.auth.secret_check import stored_check
from hudhud.cli.doctor.finding import Finding, Installation, fail, ok, warn
from hudhud.cli.running_service import ANSWER_SECONDS, RunningService, database_state
from hudhud.core.clock import iso, now_ms
from hudhud.core.database_lost import DatabaseLost, cause_of
from hudhud.core.errors import StartRefused
from hudhud.core.ip_addresses import is_within
from hudhud.core.secret import is_strong, proves, secret_file
from hudhud.core.setting_types import SHORTEST_SECRET
from hudhud.db.engine import Database, is_full
from hudhud.db.location import choose_database
from hudhud.db.losses import DAMAGED, MOVED, REPLACE, RESTORE, damaged
from hudhud.db.migrate import HEAD, current_revision, fits
from hudhud.db.quick_check import quick_check
from hudhud.db.write_probe import write_page
from hudhud.maintenance import secret_rotation
from hudhud.senders import records
from hudhud.verification.build import database_place_of, found_secret_of
from hudhud.web.server import pressure

NETWORK_FILE_SYSTEMS = frozenset({"9p", "afs", "ceph", "cifs", "fuse.sshfs", "nfs", "nfs4", "smb3"})
FREE_SPACE = "Free some disk space; a running service then continues by itself."
# Checking all pages of a large database takes longer than a person waits.
LONGEST_CHECK_SECONDS = 5.0
LATER = ok("Checked after the first start.")


def answers(installation: Installation) -> Finding:
    """Check that the database exists and answers."""
    choice = choose_database(database_place_of(installation.settings))
    if installation.problem is not None:
        return installation.problem
    if choice.file is not None:
        return _answers_as_file(choice.file, installation.database)
    assert installation.database is not None  # noqa: S101 -- otherwise `problem` is set
    with installation.database.read() as connection:
        version = connection.scalar(text("SHOW server_version"))
    return ok(f"PostgreSQL {version} answers.")


def tables(installation: Installation) -> Finding:
    """Check that the database has this version's tables."""
    if installation.database is None:
        return LATER
    revision = current_revision(installation.database)
    if revision is None:
        return ok("The database has no tables yet; the first start creates them.")
    if revision < HEAD:
        return warn(
            f"The tables are at revision {revision}, this Hudhud needs {HEAD}.",
            "Back up the database, then run `hudhud migrate` or restart Hudhud.",
        )
    if not fits(installation.database, revision):
        return fail(
            f"The tables are at revision {revision}, this Hudhud supports only {HEAD}.",
            "Start the newer Hudhud again, or restore the backup taken before it.",
        )
    if revision > HEAD:
        return ok(f"The tables are at revision {revision}, which this Hudhud supports too.")
    return ok(f"The tables are at this version's revision, {HEAD}.")


def writing(installation: Installation) -> Finding:
    """Check that the database can be written."""
    database = _ready(installation)
    if database is None:
        return LATER
    try:
        with database.write() as connection:
            write_page(connection)
    except SQLAlchemyError as error:
        return unusable(error)
    return ok("The database can be written.")


def secret(installation: Installation) -> Finding:
    """Check that a secret exists, is strong and belongs to this database."""
    if installation.service is not None:  # it would not run with another database's secret
        return _strength(is_strong=installation.service.has_strong_secret)
    settings = installation.settings
    file = secret_file(settings.data_dir)
    value = found_secret_of(settings)
    stored = _stored_check(installation)
    if value is None:
        return _without_secret(
            file, is_needed=stored is not None, is_shared=settings.database_url is not None
        )
    known = [one for one in (value, settings.session_secret_previous) if one is not None]
    if stored is not None and not any(proves(one, stored) for one in known):
        return fail(
            "The database belongs to another secret: its codes cannot be read.",
            f"Set SESSION_SECRET to the earlier secret, or restore {file}. To change the secret, "
            "set the earlier one as SESSION_SECRET_PREVIOUS.",
        )
    if len(value) < SHORTEST_SECRET:
        return fail(f"The secret in {file} is damaged.", f"Restore {file} from a backup.")
    return _strength(is_strong=is_strong(value))


def former_secret(installation: Installation) -> Finding:
    """Check whether the previous secret is still needed."""
    settings, service = installation.settings, installation.service
    previous = settings.session_secret_previous
    if service is not None and _gives(service, "session_secret_previous") and previous is None:
        return ok("The secret is being changed; the log of each start says how long that lasts.")
    if previous is None:
        return ok("SESSION_SECRET_PREVIOUS is not set: the secret is not being changed.")
    database, value = _ready(installation), found_secret_of(settings)
    if database is None or value is None:
        return LATER
    with database.read() as connection:
        left = secret_rotation.find_left(connection, secret=value, previous_secret=previous)
    if left.is_nothing:
        return warn(left.sentence, "Remove it from the settings and restart Hudhud.")
    return ok(left.sentence)


def credentials(installation: Installation) -> Finding:
    """Check that credentials exist and their first file is deleted."""
    settings = installation.settings
    file = settings.data_dir / CREDENTIALS_FILE
    if file.exists():
        return warn(
            f"{file} still holds the first credentials.", f"Store them elsewhere, then: rm {file}"
        )
    database = _ready(installation)
    if database is None:
        return LATER
    with database.read() as connection:
        has_key = _has(installation, "api_key") or api_keys.any_in_use(connection, now=now_ms())
        has_admin = _has(installation, "admin_password") or admin_password.is_set(
            connection, settings.admin_username, of_environment=None
        )
    if has_key and has_admin:
        return ok("An API key and an admin password exist.")
    missing = "API key" if not has_key else "admin password"
    return warn(f"There is no {missing}.", "The next start creates it and shows it once.")


def forwarding(installation: Installation) -> Finding:
    """Check for forwarding proxies that are missing in TRUSTED_PROXIES."""
    database = _ready(installation)
    if database is None:
        return LATER
    with database.read() as connection:
        address = untrusted_proxy.recall(connection, now=now_ms())
    if address is None or is_within(address, installation.settings.trusted_proxies):
        return ok("No address outside TRUSTED_PROXIES forwards requests.")
    return warn(
        f"{address} sends forwarded headers (X-Forwarded-For, X-Forwarded-Proto), which are "
        "ignored: all its clients count as one address, and HTTPS as HTTP.",
        f"If {address} is your own proxy, add it to TRUSTED_PROXIES and restart Hudhud. If you do "
        "not know it, change nothing.",
    )


def connections(installation: Installation) -> Finding:
    """Check whether nearly all connections were in use lately."""
    database = _ready(installation)
    if database is None:
        return LATER
    with database.read() as connection:
        found = pressure.recall(connection, now=now_ms())
    if found is None:
        return ok("There was always room for more connections.")
    return warn(
        f"{found.open} of {found.most} connections were open at {iso(found.at)}: idle ones were "
        "closed, and new ones may have been refused.",
        "Find the clients that keep them open (ss -tn), and let a reverse proxy limit them. If "
        "the limit is below 4096, raise the limit of open files (ulimit -n) and restart Hudhud.",
    )


def sender(installation: Installation) -> Finding:
    """Check that this machine's sender runs and can send."""
    name = installation.settings.sender_name
    database = _ready(installation)
    if database is None:
        return LATER
    with database.read() as connection:
        record = records.find(connection, name)
    if record is None or not records.is_running(record, now=now_ms()):
        return warn(f"The sender {name} is not running.", "Start it with: hudhud serve")
    sentence = f"The sender {name} is {record.state}. {records.detail_of(record).english()}"
    if record.state == "connected":
        return ok(sentence)
    if record.state == "pairing":
        return warn(sentence, "Link WhatsApp with: hudhud pair")
    return warn(sentence, "Do as described; `hudhud status` shows the result.")


def _has(installation: Installation, secret: str) -> bool:
    """Return whether the settings that count have this secret."""
    if installation.service is not None:
        return _gives(installation.service, secret)
    return getattr(installation.settings, secret) is not None


def _gives(service: RunningService, secret: str) -> bool:
    return secret in service.given


def _strength(*, is_strong: bool) -> Finding:
    if is_strong:
        return ok("The secret is strong and fits the database.")
    return warn(
        "The secret is easy to guess.",
        "Create one with `openssl rand -hex 32`. Set it as SESSION_SECRET, and the current one as "
        "SESSION_SECRET_PREVIOUS.",
    )


def why_closed(error: StartRefused | DatabaseLost, *, is_file: bool) -> Finding:
    """Return the finding of a database that cannot be opened."""
    if isinstance(error, DatabaseLost):
        return unusable(error)
    sentence = " ".join(str(error).split())
    if not is_file:
        return fail(sentence, "Check DATABASE_URL, the server, and the network.")
    cause = error.__cause__
    if isinstance(cause, SQLAlchemyError) and is_full(cause):
        return fail(sentence, FREE_SPACE)
    return fail(sentence, "Check the owner of the file and its folder.")


def unusable(error: SQLAlchemyError) -> Finding:
    """Return the finding of a database that cannot be read or written."""
    if isinstance(error, DatabaseLost):
        return fail(error.problem, error.remedy)
    if is_full(error):
        return fail("The database cannot be written because its disk is full.", FREE_SPACE)
    return fail(
        f"The database cannot be used: {' '.join(cause_of(error).split())}.",
        "If it is locked, stop the other program that uses it. Otherwise check the file's owner "
        "and the free disk space.",
    )


def reported_by_service(host: str, port: int) -> Finding | None:
    """Return what a running service reports of a lost database.

    Ask before opening: a replaced file looks sound, but SQLite would merge the write-ahead log of
    the former one into it.
    """
    state = database_state(host, port, ANSWER_SECONDS)
    remedy = {MOVED: REPLACE, DAMAGED: RESTORE}.get(state or "")
    if remedy is None:
        return None
    return fail(f"The service on port {port} reports its database as {state}.", remedy)


def _answers_as_file(file: Path, database: Database | None) -> Finding:
    kind = _file_system(file)
    if kind in NETWORK_FILE_SYSTEMS:
        return fail(
            f"{file} is on a network file system ({kind}), where SQLite loses data.",
            "Set DATA_DIR or DB_FILENAME to a local disk, or DATABASE_URL to a PostgreSQL server.",
        )
    if not file.exists():
        return ok(f"There is no database yet; the first start creates {file}.")
    if database is not None:
        found = quick_check(database, LONGEST_CHECK_SECONDS)
        if found is not None:
            return unusable(damaged(str(file), found))
    return ok(f"SQLite opens {file} and finds no damage.")


def _file_system(file: Path) -> str:
    """Return the file system's type; empty if Linux does not report it."""
    path = file.absolute().resolve()
    found: tuple[int, str] = (0, "")
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    for line in mounts.splitlines():
        _device, place, kind, *_ = line.split(" ")
        if path.is_relative_to(place.replace("\\040", " ")):
            found = max(found, (len(place), kind))
    return found[1]


def _ready(installation: Installation) -> Database | None:
    """Return the database if it answers and has this version's tables."""
    database = installation.database
    is_ready = database is not None and fits(database, current_revision(database))
    return database if is_ready else None


def _stored_check(installation: Installation) -> str | None:
    database = _ready(installation)
    if database is None:
        return None
    with database.read() as connection:
        return stored_check(connection)


def _without_secret(file: Path, *, is_needed: bool, is_shared: bool) -> Finding:
    if is_shared:
        return fail(
            "SESSION_SECRET is not set; with PostgreSQL every machine needs the same one.",
            "Create one with `openssl rand -hex 32` and set it on every machine.",
        )
    if is_needed:
        return fail(
            f"The secret in {file} is missing: the database's codes cannot be read.",
            f"Restore {file} from a backup, or set SESSION_SECRET to the earlier secret.",
        )
    return ok("There is no secret yet; the first start creates one.")
