"""An emulator, and clients of it that are processes of their own."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from waemu.client import EmulatorProcess

_SECONDS_TO_WAIT = 20.0
_CLIENT = Path(__file__).with_name("linked_client.py")


class LinkedClient:
    """A neonize client in its own process: commands go in, events come out."""

    def __init__(self, emulator: EmulatorProcess, store: Path, log: Path) -> None:
        self._emulator = emulator
        self._news = threading.Condition()
        self.events: list[dict[str, Any]] = []
        self.store = store
        with log.open("a") as errors:
            self._process = subprocess.Popen(
                [sys.executable, str(_CLIENT), str(store), emulator.proxy],
                env={**os.environ, **emulator.environment(), "NEONIZE_BOT_TAG": "off"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self.events.append(json.loads(line))
                self._news.notify_all()

    def wait_for(
        self, event: str, *, after: int = 0, timeout: float = _SECONDS_TO_WAIT, **details: Any
    ) -> dict[str, Any]:
        """The first event of that name with these details, at or after a position in events."""
        wanted = {"event": event, **details}
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for found in self.events[after:]:
                    if wanted.items() <= found.items():
                        return found
                if not self._news.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"no {wanted} in {self.events[after:]}")

    def start(self, command: str, **arguments: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self._process.stdin.flush()

    def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        """What a command gives, or its error under the key error."""
        after = len(self.events)
        self.start(command, **arguments)
        deadline = time.monotonic() + _SECONDS_TO_WAIT
        with self._news:
            while True:
                for found in self.events[after:]:
                    if found["event"] in ("done", "error") and found["command"] == command:
                        return found
                if not self._news.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"no answer to {command}: {self.events[after:]}")

    def pair(self, number: str) -> None:
        """Has the phone of that number scan the QR code, and waits until the client is in."""
        after = len(self.events)
        self._emulator.scan(self.wait_for("qr")["code"], number)
        self.wait_for("Connected", after=after)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(log=tmp_path / "emulator.log") as running:
        for number in ("15550001111", "15552223333", "15554445555"):
            running.add_phone(number)
        yield running


@pytest.fixture
def new_client(emulator: EmulatorProcess, tmp_path: Path) -> Iterator[Callable[..., LinkedClient]]:
    """Starts a client; without a store it is a device not yet linked."""
    clients: list[LinkedClient] = []

    def start(store: Path | None = None) -> LinkedClient:
        store = store or tmp_path / f"device-{len(clients)}.db"
        client = LinkedClient(emulator, store, tmp_path / "client.log")
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.kill()
