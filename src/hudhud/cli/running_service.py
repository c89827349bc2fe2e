"""The record of the service on this machine, with which `hudhud doctor` judges it.

A service may have settings that a shell lacks, for example those of systemd. So it stores its own,
without any secret, in the database; `find` returns them while it runs.
"""

import http.client
import json
import os
import socket
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from hudhud import __version__
from hudhud.app import alert_targets_of
from hudhud.cli import startup_notices
from hudhud.core.clock import now_ms
from hudhud.core.env_files import read_environment
from hudhud.core.secret import is_strong
from hudhud.core.settings import Settings
from hudhud.db import installation
from hudhud.db.engine import Database
from hudhud.senders import records
from hudhud.verification.build import secret_of

ANSWER_SECONDS = 3.0
PLAIN: Final = (
    "host", "trusted_proxies", "admin_username", "data_dir", "log_dir", "channel",
    "whatsapp_client_id", "baileys_session_dir_name", "worker_min_send_delay_ms",
    "worker_max_send_delay_ms", "otp_ttl_seconds",
)  # fmt: skip
SECRET: Final = ("api_key", "admin_password", "session_secret_previous")


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service's facts; `port` is None for `hudhud worker`, `given` names its secret settings."""

    version: str
    process: int
    port: int | None
    settings: dict[str, Any]
    given: list[str]
    has_strong_secret: bool
    alert_targets: int
    notices: list[str]

    def applied_to(self, own: Settings) -> Settings:
        """Return a shell's settings with the service's in their place."""
        of_service = Settings.model_validate(self.settings)
        known = self.settings.keys() & Settings.model_fields.keys()  # it may have another version
        return own.model_copy(update={name: getattr(of_service, name) for name in known})


# The kinds of records: `serve` and `worker` of one machine have one each.
KINDS = ("service", "worker")


def remember(database: Database, settings: Settings, port: int | None) -> None:
    """Store that this process serves on `port`, or carries only messages."""
    service = RunningService(
        version=__version__,
        process=os.getpid(),
        port=port,
        settings=_without_secrets(settings, port),
        given=[name for name in SECRET if getattr(settings, name) is not None],
        has_strong_secret=is_strong(secret_of(settings)),
        alert_targets=len(alert_targets_of(settings)),
        notices=startup_notices.notices(read_environment(), settings),
    )
    kind = KINDS[0] if port is not None else KINDS[1]
    with database.write() as connection:
        installation.write(connection, _name(kind), json.dumps(asdict(service)))


def find(database: Database) -> RunningService | None:
    """Return the `serve` of this machine, else its `worker`, if it runs and answers."""
    for kind in KINDS:
        service = _find(database, kind)
        if service is not None:
            return service
    return None


def _find(database: Database, kind: str) -> RunningService | None:
    with database.read() as connection:
        stored = installation.read(connection, _name(kind))
        if stored is None:
            return None
        service = RunningService(**json.loads(stored))
        sender = records.find(connection, Settings.model_validate(service.settings).sender_name)
    if not _exists(service.process):
        return None
    if service.port is None:
        runs = sender is not None and records.is_running(sender, now=now_ms())
    else:
        runs = answers_as_hudhud(service.settings["host"], service.port, ANSWER_SECONDS)
    return service if runs else None


def answers_as_hudhud(host: str, port: int, seconds: float) -> bool:
    """Return whether a Hudhud answers at this address in time."""
    try:
        return str(_answer(host, port, "/", seconds)["message"]).startswith("Hudhud ")
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return False


def database_state(host: str, port: int, seconds: float) -> str | None:
    """Return what /readyz at this address says of the database, None without an answer."""
    try:
        return str(_answer(host, port, "/readyz", seconds)["database"])
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return None


def _answer(host: str, port: int, path: str, seconds: float) -> dict[str, Any]:
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound
    connection = http.client.HTTPConnection(near, port, timeout=seconds)
    try:
        connection.request("GET", path)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


def _without_secrets(settings: Settings, port: int | None) -> dict[str, Any]:
    absolute = {name: getattr(settings, name).absolute() for name in ("data_dir", "log_dir")}
    plain = settings.model_copy(update=absolute).model_dump(mode="json", include=set(PLAIN))
    proxy = settings.whatsapp_proxy and urlsplit(settings.whatsapp_proxy)
    address = f"{proxy.scheme}://{proxy.netloc.rpartition('@')[2]}" if proxy else None
    return {**plain, "port": settings.port if port is None else port, "whatsapp_proxy": address}


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _name(kind: str) -> str:
    return f"{kind} on {socket.gethostname()}"
