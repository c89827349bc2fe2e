"""One `hudhud serve` to measure, in its own folder."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

import httpx
import psutil

from hudhud.db.engine import Database

START_SECONDS = 30
POLL_SECONDS = 0.002


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service(AbstractContextManager["Service"]):
    """A service that runs for the length of a context."""

    def __init__(
        self,
        folder: Path,
        port: int,
        variables: Mapping[str, str],
        module: str = "hudhud",
    ) -> None:
        self.key = "bench-" + secrets.token_hex(16)
        self.origin = f"http://127.0.0.1:{port}"
        self.url = f"{self.origin}/api/v1/otp/send"
        self.folder = folder
        self._module = module
        self.environment = {
            **os.environ,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "API_KEY": self.key,
            "ADMIN_PASSWORD": secrets.token_hex(16),
            **variables,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.seconds_to_first_202 = 0.0

    def __enter__(self) -> Self:
        """Start the process and wait for the first 202."""
        started = time.perf_counter()
        with (self.folder / "output.log").open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 -- our own command
                [sys.executable, "-m", self._module, "serve"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        # A new client for each request would take the service's processor time.
        with httpx.Client(timeout=5) as client:
            while not self._accepts(client):
                if time.perf_counter() - started > START_SECONDS:
                    raise TimeoutError((self.folder / "output.log").read_text()[-2000:])
                time.sleep(POLL_SECONDS)
        self.seconds_to_first_202 = time.perf_counter() - started
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stop the process."""
        assert self._process is not None  # noqa: S101 -- for the type checker
        self._process.terminate()
        self._process.wait(15)

    def _accepts(self, client: httpx.Client) -> bool:
        body = {"phoneNumber": "+201001234567"}
        try:
            answer = client.post(self.url, json=body, headers={"X-API-KEY": self.key})
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.ACCEPTED

    def database(self) -> Database:
        """Open the service's database, which the service creates if needed."""
        path = self.folder / "data" / "hudhud.db"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return Database(self.environment.get("DATABASE_URL", f"sqlite:///{path}"))

    def processor_seconds(self) -> float:
        """Return the CPU seconds used by the web process."""
        assert self._process is not None  # noqa: S101 -- for the type checker
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def processes(self) -> list[psutil.Process]:
        """Return the web process, then its children."""
        assert self._process is not None  # noqa: S101 -- for the type checker
        web = psutil.Process(self._process.pid)
        return [web, *web.children(recursive=True)]

    def proportional_set_size(self) -> dict[str, float]:
        """Return the PSS of each of the service's processes, in megabytes."""
        web, *children = self.processes()
        processes = {"serve": web} | {f"sender {child.pid}": child for child in children}
        return {name: process.memory_full_info().pss / 2**20 for name, process in processes.items()}
