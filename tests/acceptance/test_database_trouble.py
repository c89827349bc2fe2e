"""A full disk, a removed or replaced file and a damaged one, under a running service."""

import json
import os
import resource
import shutil
import subprocess
import sys
from typing import Any

import httpx
import psutil
import pytest

from support.damage import overwrite
from support.services import API_KEY, HTTP, Service, StartService, wait_until

NOTICED_SECONDS = 60.0


def readiness(service: Service) -> tuple[int, str]:
    answer = HTTP.get(f"{service.url}/readyz")
    return answer.status_code, str(answer.json()["database"])


def is_strictly_ready(service: Service) -> bool:
    return HTTP.get(f"{service.url}/readyz?strict").status_code == 200


def wait_for_readiness(service: Service, status: int, database: str) -> None:
    wait_until(
        lambda: readiness(service) == (status, database),
        NOTICED_SECONDS,
        database,
        log=service.tail,
    )


def send(service: Service) -> httpx.Response:
    return HTTP.post(
        f"{service.url}/api/v1/otp/send",
        headers={"X-API-KEY": API_KEY},
        json={"phoneNumber": "+201001234567"},
    )


def command(service: Service, *words: str, largest_file: int = resource.RLIM_INFINITY) -> str:
    """Run a command that fails, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "hudhud", *words],
        cwd=service.folder,
        env={**os.environ, "API_KEY": API_KEY, "HOST": "127.0.0.1", "PORT": str(service.port)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file,) * 2),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert "itself broke" not in said
    return said


def losses(service: Service) -> list[dict[str, Any]]:
    lines = [
        json.loads(line) for line in service.output.read_text().splitlines() if line[:1] == "{"
    ]
    return [line for line in lines if line["event"] == "the database is lost"]


def limit_files(service: Service, size: int) -> None:
    """Let no file of the service grow beyond `size`, like a full disk but without privileges."""
    assert service.process is not None
    for process in (psutil.Process(service.process.pid), *service.children()):
        process.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.slow
def test_trouble_with_the_database_file_is_noticed_and_explained(
    start_service: StartService,
) -> None:
    service = start_service(CHANNEL="sandbox")
    file = service.folder / "data" / "hudhud.db"
    log = file.with_name("hudhud.db-wal")
    wait_until(lambda: is_strictly_ready(service), 30, "the sender", log=service.tail)

    limit_files(service, log.stat().st_size)
    wait_for_readiness(service, 503, "cannot be written")
    assert send(service).status_code == 503
    assert "The database cannot be used" in command(
        service, "doctor", largest_file=log.stat().st_size
    )
    limit_files(service, resource.RLIM_INFINITY)
    wait_until(lambda: is_strictly_ready(service), 60, "the sender", log=service.tail)

    kept = file.rename(file.with_name("kept.db"))
    wait_for_readiness(service, 503, "removed or replaced")
    assert send(service).status_code == 503
    assert "start Hudhud again" in command(service, "doctor")
    wait_until(lambda: len(losses(service)) == 2, NOTICED_SECONDS, "a line of each process")
    assert not file.exists(), "nothing creates an empty database"
    kept.rename(file)
    wait_for_readiness(service, 200, "writable")
    shutil.copy(file, kept)
    original = file.rename(file.with_name("original.db"))
    kept.rename(file)
    wait_for_readiness(service, 503, "removed or replaced")
    assert "start Hudhud again" in command(service, "doctor")
    original.rename(file)
    wait_for_readiness(service, 200, "writable")
    assert send(service).status_code == 202

    before = len(losses(service))
    overwrite(file)
    overwrite(log)
    wait_for_readiness(service, 503, "damaged")
    assert {send(service).status_code for _ in range(5)} == {503}
    said = [line["error"] for line in losses(service)[before:]]
    assert all("restore a backup" in line for line in said)
    for words in (["doctor"], ["status"]):
        assert "restore a backup" in command(service, *words)
    assert service.stop() == 0
    assert 1 <= len(losses(service)[before:]) <= 2, "one line of each process"
    assert "Traceback" not in service.output.read_text()
    assert "restore a backup" in command(service, "serve")
