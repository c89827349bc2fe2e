"""A service in real processes, always stopped by process id."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

from hudhud.db.engine import Database

API_KEY = "acceptance-" + secrets.token_hex(8)
# One shared client: each new one reads all certificates of the machine, which is slow.
HTTP = httpx.Client(timeout=10, limits=httpx.Limits(max_keepalive_connections=0))


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    condition: Callable[[], bool],
    seconds: float,
    what: str,
    *,
    log: Callable[[], str] = lambda: "",
) -> None:
    """Poll until `condition` holds, or fail naming `what` and printing the log."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}: {log()}"
        time.sleep(0.02)


def ask_for_code(url: str, phone: str) -> dict[str, Any]:
    """Request a code as a program does; return the answer."""
    answer = HTTP.post(
        f"{url}/api/v1/otp/send", headers={"X-API-KEY": API_KEY}, json={"phoneNumber": phone}
    )
    assert answer.status_code == 202, answer.text
    accepted: dict[str, Any] = answer.json()
    return accepted


def has_ended(process: psutil.Process) -> bool:
    """Return whether a process has ended, even if nobody has asked for its exit code."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def sqlite_of(service: "Service") -> Database:
    """Open the database of a service on SQLite."""
    return Database(f"sqlite:///{service.folder / 'data' / 'hudhud.db'}")


class Service:
    """One `hudhud serve` (or another command) in its own folder."""

    def __init__(self, folder: Path, command: tuple[str, ...], variables: dict[str, str]) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = folder / "output.log"
        self._command = command
        self._variables = variables
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until it answers."""
        environment = {
            **os.environ,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "API_KEY": API_KEY,
            **self._variables,
        }
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self._command],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_until(self.answers, 30, f"an answer of {self._command}", log=self.tail)

    def answers(self) -> bool:
        """Return whether /healthz answers."""
        assert self.process is not None
        assert self.process.poll() is None, f"the process ended: {self.tail()}"
        try:
            return HTTP.get(self.url + "/healthz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def children(self) -> list[psutil.Process]:
        """Return its child processes."""
        assert self.process is not None
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def wait_for_sender(self) -> psutil.Process:
        """Return the sender's process, once there is one."""
        wait_until(lambda: bool(self.children()), 15, "a sender process")
        return self.children()[0]

    def kill(self) -> None:
        """Kill only this process, with SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=15)

    def tail(self) -> str:
        """Return the end of the process's output."""
        return self.output.read_text()[-2000:] if self.output.exists() else ""

    def clean_up(self) -> None:
        """Kill all remaining processes."""
        if self.process is None:
            return
        left = self.children()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for child in left:
            if child.is_running():
                child.kill()
        # Nobody here may reap them, so their remains may stay for seconds.
        wait_until(lambda: all(map(has_ended, left)), 10, "the end of the senders")


StartService = Callable[..., Service]
