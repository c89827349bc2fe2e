"""Checks of the database and of what is in it."""

from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from hudhud.auth import admin_password, api_keys, untrusted_proxy
from hudhud.auth.first_credentials import CREDENTIALS_FILE
from hudhud.auth.secret_check import stored_check
from hudhud.cli.doctor.finding import Finding, Installation, fail, ok, warn
from hudhud.core.clock import now_ms
from hudhud.core.ip_addresses import Network, is_within
from hudhud.core.secret import proves, secret_file
from hudhud.core.setting_types import SHORTEST_SECRET
from hudhud.db import installation as kept
from hudhud.db.engine import Database
from hudhud.db.location import choose_database
from hudhud.db.migrate import HEAD, current_revision, fits
from hudhud.maintenance import secret_rotation
from hudhud.senders import records
from hudhud.verification.build import database_place_of, found_secret_of

STRONG_SECRET = 32
FEWEST_LETTERS = 8
NETWORK_FILE_SYSTEMS = frozenset({"9p", "afs", "ceph", "cifs", "fuse.sshfs", "nfs", "nfs4", "smb3"})
LATER = ok("Not known before the first start.")


def answers(installation: Installation) -> Finding:
    """Is the database there, and does it answer?"""
    choice = choose_database(database_place_of(installation.settings))
    if installation.problem is not None:
        if choice.file is None:
            return fail(installation.problem, "Check DATABASE_URL, the server, and the network.")
        return fail(installation.problem, "Check the file's owner, or restore it from a backup.")
    if choice.file is not None:
        return _answers_as_file(choice.file)
    assert installation.database is not None  # noqa: S101 -- else there were a problem
    with installation.database.read() as connection:
        version = connection.scalar(text("SHOW server_version"))
    return ok(f"PostgreSQL {version} answers.")


def tables(installation: Installation) -> Finding:
    """Has the database this version's tables?"""
    if installation.database is None:
        return LATER
    revision = current_revision(installation.database)
    if revision is None:
        return ok("The database has no tables yet; the first start makes them.")
    if revision < HEAD:
        return warn(
            f"The tables are at revision {revision}, this Hudhud works with {HEAD}.",
            "`hudhud migrate`, or the next start, brings them up to date. Back up before.",
        )
    if not fits(installation.database, revision):
        return fail(
            f"The tables are at revision {revision}, this Hudhud knows only {HEAD}.",
            "Start the newer Hudhud again, or restore the backup taken before it.",
        )
    if revision > HEAD:
        return ok(f"The tables are at revision {revision}, with which this Hudhud works too.")
    return ok(f"The tables are at this version's revision, {HEAD}.")


def writing(installation: Installation) -> Finding:
    """Can the database be written?"""
    database = _ready(installation)
    if database is None:
        return LATER
    try:
        with database.write() as connection:
            kept.write(connection, "doctor", str(now_ms()))
            kept.remove(connection, "doctor")
    except SQLAlchemyError as error:
        return fail(
            f"The database cannot be written: {error.__cause__ or error}.",
            "If it is locked, another program holds it: end that one. Otherwise see who owns the "
            "file, and whether the disk is full.",
        )
    return ok("The database can be written.")


def secret(installation: Installation) -> Finding:
    """Is there a secret, a strong one, and the one of this database?"""
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
            f"Set SESSION_SECRET, or restore {file}, as it was; to change the secret, set the "
            "earlier one as SESSION_SECRET_PREVIOUS.",
        )
    if len(value) < SHORTEST_SECRET:
        return fail(f"The secret in {file} is damaged.", f"Restore {file} from a backup.")
    if len(value) < STRONG_SECRET or len(set(value)) < FEWEST_LETTERS:
        return warn(
            "The secret is easy to guess.",
            "Make one with `openssl rand -hex 32`; set it as SESSION_SECRET, and this one as "
            "SESSION_SECRET_PREVIOUS.",
        )
    return ok("The secret is strong and fits the database.")


def former_secret(installation: Installation) -> Finding:
    """Is the secret that was changed still needed?"""
    settings = installation.settings
    previous = settings.session_secret_previous
    if previous is None:
        return ok("SESSION_SECRET_PREVIOUS is not set: the secret is not being changed.")
    database, value = _ready(installation), found_secret_of(settings)
    if database is None or value is None:
        return LATER
    with database.read() as connection:
        left = secret_rotation.find_left(connection, secret=value, previous_secret=previous)
    if left.is_nothing:
        return warn(left.sentence, "Take it out of the settings, and start Hudhud again.")
    return ok(left.sentence)


def credentials(installation: Installation) -> Finding:
    """Is there an API key and an admin, and were the first ones put away?"""
    settings = installation.settings
    file = settings.data_dir / CREDENTIALS_FILE
    if file.exists():
        return warn(f"{file} still holds the first credentials.", f"Read them, then: rm {file}")
    database = _ready(installation)
    if database is None:
        return LATER
    with database.read() as connection:
        has_key = settings.api_key is not None or api_keys.any_in_use(connection, now=now_ms())
        has_admin = admin_password.is_set(
            connection, settings.admin_username, of_environment=settings.admin_password
        )
    if has_key and has_admin:
        return ok("An API key and an admin password exist.")
    missing = "API key" if not has_key else "admin password"
    return warn(f"There is no {missing}.", "The next start makes it, and shows it once.")


def forwarding(installation: Installation) -> Finding:
    """Does a proxy forward requests that TRUSTED_PROXIES does not name?"""
    database = _ready(installation)
    if database is None:
        return LATER
    with database.read() as connection:
        address = untrusted_proxy.recall(connection, now=now_ms())
    if address is None or _is_trusted(address, installation.settings.trusted_proxies):
        return ok("No request was forwarded by an address that TRUSTED_PROXIES does not name.")
    return warn(
        f"{address} sends forwarded headers (X-Forwarded-For, X-Forwarded-Proto), which are not "
        "believed: all who come through it count as one address, and HTTPS as HTTP.",
        f"If {address} is your own proxy, add it to TRUSTED_PROXIES and start Hudhud again. If you "
        "do not know it, leave the setting as it is.",
    )


def sender(installation: Installation) -> Finding:
    """Does this machine's sender run, and can it send?"""
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
    return warn(sentence, "Do what the sentence says; `hudhud status` shows how it goes on.")


def _is_trusted(address: str, proxies: Iterable[Network]) -> bool:
    """Tell whether uvicorn, which does not unwrap IPv4 addresses, trusts this proxy."""
    return is_within(address, proxies, unwraps=False)


def _answers_as_file(file: Path) -> Finding:
    kind = _file_system(file)
    if kind in NETWORK_FILE_SYSTEMS:
        return fail(
            f"{file} is on a network file system ({kind}), where SQLite loses data.",
            "Set DATA_DIR or DB_FILENAME to a local disk, or DATABASE_URL to a PostgreSQL server.",
        )
    if not file.exists():
        return ok(f"There is no database yet; the first start makes {file}.")
    return ok(f"SQLite opens {file}.")


def _file_system(file: Path) -> str:
    """Return the type of the file system that holds the file; empty where Linux does not tell."""
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
    """Return the database where it answers and has this version's tables."""
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
            "Make it once with `openssl rand -hex 32` and set it on all of them.",
        )
    if is_needed:
        return fail(
            f"The secret in {file} is gone: the database's codes cannot be read.",
            f"Restore {file} from a backup, or set SESSION_SECRET as it was.",
        )
    return ok("There is no secret yet; the first start makes one.")
