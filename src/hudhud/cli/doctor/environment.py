"""Checks of the environment: settings, strength, clock, port, proxy, library, alerts, leftovers."""

import errno
import importlib.metadata
import os
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import select, text

from hudhud import __version__
from hudhud.app import alert_targets_of
from hudhud.channels.registry import channel_type
from hudhud.cli import startup_notices
from hudhud.cli.doctor.finding import Finding, Installation, fail, ok, warn
from hudhud.cli.running_service import ANSWER_SECONDS, answers_as_hudhud
from hudhud.core.clock import iso, now_ms
from hudhud.core.env_files import ENV_FILES, read_environment
from hudhud.db.engine import Database
from hudhud.db.migrate import current_revision, fits
from hudhud.db.tables import messages
from hudhud.maintenance.alerts.send import unusable_targets
from hudhud.verification.build import mean_gap_of

# Before the first version of Hudhud: an earlier clock was never set.
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
TOLERATED_SECONDS = 1.0
# Leases last 30 s: clocks that differ by a third of that can break them.
HARMFUL_SECONDS = 10.0
SET_CLOCK = "Synchronize the clock: timedatectl set-ntp true"
CONNECT_SECONDS = 3.0
LIBRARY = "neonize"
LOADING = "import hudhud.channels.linked.client"  # as a sender loads it
LIBRARY_SECONDS = 60.0
# The loader would download a missing native library; the check must not.
NO_INTERNET = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}


def settings_read(installation: Installation) -> Finding:
    """Report where the settings come from; they are valid at this point."""
    service = installation.service
    if service is not None and service.version != __version__:
        return warn(
            f"The running service is Hudhud {service.version}, installed is {__version__}.",
            "Restart the service.",
        )
    if service is not None:
        return ok(f"Hudhud {__version__} runs as process {service.process}; its settings count.")
    files = " and ".join(str(file) for file in ENV_FILES if file.is_file())
    return ok(f"Hudhud {__version__}: the settings of {files or 'the environment'} are valid.")


def strength(installation: Installation) -> Finding:
    """Check that API_KEY and ADMIN_PASSWORD are too long to be guessed."""
    known = (startup_notices.WEAK_API_KEY, startup_notices.WEAK_ADMIN_PASSWORD)
    weak = [line for line in _noticed(installation) if line in known]
    if weak:
        return warn(" ".join(weak), "Restart Hudhud after the change.")
    return ok("API_KEY and ADMIN_PASSWORD are not set, or long enough.")


def clock(installation: Installation, *, earliest: datetime = EARLIEST) -> Finding:
    """Check that the clock is plausible and agrees with the database's."""
    now = datetime.now(UTC)
    if not earliest < now < LATEST:
        return fail(f"The clock says {now:%Y-%m-%d %H:%M}, which is impossible.", SET_CLOCK)
    try:
        offset, other = _offset(installation)
    except OSError as error:
        return warn(
            f"The clock says {now:%Y-%m-%d %H:%M} UTC, but cannot be compared with that of the "
            f"file system: {error.strerror}.",
            "If the disk is full, free some space, then run `hudhud doctor` again.",
        )
    if abs(offset) > TOLERATED_SECONDS:
        verdict = fail if abs(offset) > HARMFUL_SECONDS else warn
        return verdict(f"The clock differs by {offset:+.1f} s from that of the {other}.", SET_CLOCK)
    latest = _latest_job(installation.database)
    if latest is not None and latest > now_ms() + HARMFUL_SECONDS * 1000:
        return fail(f"The latest job was created in the future, at {iso(latest)}.", SET_CLOCK)
    return ok(f"The clock says {now:%Y-%m-%d %H:%M} UTC and agrees with the {other}.")


def port(installation: Installation, *, answer_seconds: float = ANSWER_SECONDS) -> Finding:
    """Check that the port is free, or Hudhud answers within `answer_seconds`."""
    settings, service = installation.settings, installation.service
    place = f"{settings.host} port {settings.port}"
    if service is not None and service.port is None:
        return ok("This machine runs `hudhud worker`, which listens on no port.")
    if service is not None:
        return ok(f"Hudhud listens on {place}.")
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        here = (settings.host, settings.port)
        if error.errno == errno.EADDRINUSE and answers_as_hudhud(*here, answer_seconds):
            return ok(f"Hudhud listens on {place}.")
        return fail(
            f"Hudhud cannot listen on {place}: {error.strerror}.",
            "Stop the other program on this port, or set PORT (above 1023 without root) or HOST.",
        )
    return ok(f"Nothing listens on {place} yet.")


def proxy(installation: Installation) -> Finding:
    """Check that the proxy to WhatsApp can be reached."""
    address = installation.settings.whatsapp_proxy
    channel = installation.settings.channel
    if not channel_type(channel).needs_pairing:
        return ok(f"CHANNEL={channel} needs no proxy to WhatsApp.")
    if address is None:
        return ok("WHATSAPP_PROXY is not set: WhatsApp is reached directly.")
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname, parts.port), CONNECT_SECONDS).close()
    except OSError as error:
        return fail(
            f"WHATSAPP_PROXY, {parts.hostname} port {parts.port}, cannot be reached: "
            f"{error.strerror or error}.",
            "Start the proxy, or correct or remove WHATSAPP_PROXY.",
        )
    return ok(f"WHATSAPP_PROXY, {parts.hostname} port {parts.port}, can be reached.")


def library(installation: Installation, *, loading: str = LOADING) -> Finding:
    """Check that the WhatsApp library loads and has the required version."""
    verdict = fail if channel_type(installation.settings.channel).needs_pairing else warn
    wanted = _wanted_version()
    try:
        found = importlib.metadata.version(LIBRARY)
    except importlib.metadata.PackageNotFoundError:
        found = "missing"
    if found != wanted:
        return verdict(
            f"The WhatsApp library {LIBRARY} is {found}, Hudhud needs {wanted}.",
            "Reinstall Hudhud: make install",
        )
    problem = _problem_with_loading(loading)
    if problem is not None:
        return verdict(
            f"The WhatsApp library {LIBRARY} {found} does not load: {problem}",
            "Reinstall Hudhud: make install",
        )
    return ok(f"The WhatsApp library {LIBRARY} {found} loads.")


def pace(installation: Installation) -> Finding:
    """Check that the pace allows enough codes within their validity."""
    settings = installation.settings
    slow = startup_notices.slow_pace(settings.otp_ttl_seconds, mean_gap_of(settings))
    if slow:
        return warn(slow[0], "Set WORKER_MIN_SEND_DELAY_MS and WORKER_MAX_SEND_DELAY_MS lower.")
    if mean_gap_of(settings) == 0:
        return ok("Messages follow each other without a gap.")
    codes = int(settings.otp_ttl_seconds / mean_gap_of(settings))
    return ok(f"One sender can send about {codes} codes within a code's validity.")


def alerts(installation: Installation) -> Finding:
    """Check that the addresses of all alert targets are valid."""
    targets, service = alert_targets_of(installation.settings), installation.service
    if service is not None and service.alert_targets != len(targets):
        return ok(f"Alert targets of the running service: {service.alert_targets}.")
    if not targets:
        return ok("No alert targets are set.")
    unusable = unusable_targets(targets)
    if unusable:
        return warn(
            " ".join(unusable),
            "Correct it in ALERT_URLS, or TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID.",
        )
    return ok(f"The addresses of all alert targets are valid: {len(targets)}.")


def leftovers(installation: Installation) -> Finding:
    """Check for settings and files that only the earlier application used."""
    settings = installation.settings
    with_own_check = {
        *startup_notices.slow_pace(settings.otp_ttl_seconds, mean_gap_of(settings)),
        startup_notices.WEAK_API_KEY,
        startup_notices.WEAK_ADMIN_PASSWORD,
    }
    found = [line for line in _noticed(installation) if line not in with_own_check]
    if found:
        return warn(" ".join(found), "No action is required; remove what you no longer need.")
    return ok("Nothing of the earlier application is left.")


def _noticed(installation: Installation) -> list[str]:
    """Return the notices of the running service, else those that a start would log."""
    if installation.service is not None:
        return installation.service.notices
    return startup_notices.notices(read_environment(), installation.settings)


def _offset(installation: Installation) -> tuple[float, str]:
    """Return how many seconds our clock is ahead, and of which clock."""
    database = installation.database
    if database is not None and not database.is_sqlite:
        return _offset_to_server(database), "database server"
    folder = installation.settings.data_dir
    if not os.access(folder, os.W_OK):
        folder = Path(tempfile.gettempdir())
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        return time.time() - os.fstat(file.fileno()).st_mtime, "file system"


def _offset_to_server(database: Database) -> float:
    with database.read() as connection:
        connection.execute(text("SELECT 1"))  # open the connection before measuring
        before = time.time()
        server = connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())"))
        after = time.time()
    return (before + after) / 2 - float(server or 0)


def _latest_job(database: Database | None) -> int | None:
    if database is None or not fits(database, current_revision(database)):
        return None
    with database.read() as connection:
        made: int | None = connection.scalar(
            select(messages.c.created_at).order_by(messages.c.id.desc()).limit(1)
        )
    return made


def _wanted_version() -> str:
    pinned = [line for line in importlib.metadata.requires("hudhud") or [] if LIBRARY in line]
    return pinned[0].partition("==")[2]


def _problem_with_loading(loading: str) -> str | None:
    """Load the library in a separate process and return the error."""
    try:
        run = subprocess.run(  # noqa: S603 -- this interpreter
            [sys.executable, "-c", loading],
            env={**os.environ, **NO_INTERNET},
            capture_output=True,
            text=True,
            timeout=LIBRARY_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it takes longer than {LIBRARY_SECONDS:.0f} s."
    if run.returncode == 0:
        return None
    lines = run.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit code {run.returncode}."
