"""`hudhud doctor` judges the running service by the settings that it stored."""

import json
import secrets
import socket
from dataclasses import replace

import pytest

from hudhud import __version__
from hudhud.channels.base import StateReport
from hudhud.cli import running_service
from hudhud.cli.doctor.examine import open_installation, run_check
from hudhud.cli.doctor.finding import Finding
from hudhud.core.settings import load_settings
from hudhud.db import installation as kept
from support.command_line import Installation, Run

SERVICE = {
    "WHATSAPP_CLIENT_ID": "cairo",
    "API_KEY": "key-of-the-service",
    "ADMIN_PASSWORD": "password-of-the-service",
    "TRUSTED_PROXIES": "192.0.2.0/24,2001:db8::/32",
    "WHATSAPP_PROXY": "http://user:topsecret@127.0.0.1:1",
    "LOG_DIR": "logs-of-the-service",
    "NODE_ENV": "production",
    "ALERT_URLS": "json://user:topsecret@127.0.0.1",
    "WORKER_MIN_SEND_DELAY_MS": "5000",
    "WORKER_MAX_SEND_DELAY_MS": "20000",
}


@pytest.fixture
def worker(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A running `hudhud worker` with settings that the shell does not have."""
    with monkeypatch.context() as of_service:
        for name, value in SERVICE.items():
            of_service.setenv(name, value)
        installation.settings = load_settings()
        running_service.remember(installation.database, installation.settings, port=None)
    installation.play_sender(StateReport("connected"))
    return installation


def check(name: str) -> Finding:
    """Run one check in a shell without the service's settings."""
    opened = open_installation(load_settings())
    assert opened.database is not None
    try:
        return run_check(name, opened)
    finally:
        opened.database.close()


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("name", "outcome", "sentence"),
    [
        ("sender", "ok", "The sender cairo is connected."),
        ("credentials", "ok", "An API key and an admin password exist."),
        ("port", "ok", "`hudhud worker`, which listens on no port"),
        ("proxy", "fail", "WHATSAPP_PROXY, 127.0.0.1 port 1, cannot be reached"),
        ("log folder", "ok", "logs-of-the-service"),
        ("pace", "warn", "within the 300 s"),
        ("alerts", "ok", "of the running service: 1."),
        ("strength", "warn", "API_KEY has fewer than 20 characters"),
        ("leftovers", "warn", "NODE_ENV is no longer needed"),
    ],
)
def test_checks_use_the_settings_of_the_service(name: str, outcome: str, sentence: str) -> None:
    found = check(name)
    assert (found.outcome, sentence in found.sentence) == (outcome, True), found


@pytest.mark.usefixtures("worker")
def test_secret_is_that_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_SECRET", secrets.token_hex(32))
    assert check("secret").outcome == "ok"


def test_networks_and_folders_survive_the_record(worker: Installation) -> None:
    service = running_service.find(worker.database)
    assert service is not None
    used = service.applied_to(load_settings())
    assert used.trusted_proxies == worker.settings.trusted_proxies != ()
    assert used.data_dir == worker.settings.data_dir.absolute()


def test_record_holds_no_secret(worker: Installation) -> None:
    with worker.database.read() as connection:
        stored = kept.read(connection, f"worker on {socket.gethostname()}")
    assert stored is not None
    assert "topsecret" not in stored
    assert "of-the-service" not in stored.replace("logs-of-the-service", "")


def test_ended_service_no_longer_counts(worker: Installation) -> None:
    worker.play_sender(StateReport("connected"))
    service = running_service.find(worker.database)
    assert service is not None
    ended = replace(service, process=2**22 + 1)  # above every Linux process id
    rewrite(worker, ended)
    assert running_service.find(worker.database) is None
    silent = replace(service, port=1)
    rewrite(worker, silent)
    assert running_service.find(worker.database) is None


def test_service_of_another_version_must_be_restarted(worker: Installation, run: Run) -> None:
    service = running_service.find(worker.database)
    assert service is not None
    settings = {**service.settings, "setting_of_the_future": 1}
    rewrite(worker, replace(service, version="99.0", settings=settings))
    said = run("doctor").out
    assert f"Hudhud 99.0, installed is {__version__}. → Restart the service." in said


def rewrite(installation: Installation, service: running_service.RunningService) -> None:
    """Store another record."""
    changed = {name: getattr(service, name) for name in service.__slots__}
    with installation.database.write() as connection:
        kind = "worker" if service.port is None else "service"
        kept.write(connection, f"{kind} on {socket.gethostname()}", json.dumps(changed))
