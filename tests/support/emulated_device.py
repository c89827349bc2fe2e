"""Devices linked to the emulated WhatsApp: neonize clients in separate processes."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waemu.client import EmulatorProcess
from waemu.records import ReceivedMessage

_SECONDS_TO_WAIT = 60.0
_CLIENT = Path(__file__).parents[1] / "emulator/linked_client.py"
_numbers = itertools.count(15_556_000_000)


def new_number() -> str:
    """Return a number, without +, that no other phone has."""
    return str(next(_numbers))


class LinkedClient:
    """A neonize client in its own process.

    Commands go in, events come out.
    """

    def __init__(
        self, emulator: EmulatorProcess, store: Path, log: Path, *, bot_tag: str = "off"
    ) -> None:
        self._emulator = emulator
        self._news = threading.Condition()
        self.events: list[dict[str, Any]] = []
        self.store = store
        with log.open("a") as errors:
            self._process = subprocess.Popen(
                [sys.executable, str(_CLIENT), str(store), emulator.proxy],
                env={**os.environ, **emulator.environment(), "NEONIZE_BOT_TAG": bot_tag},
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
        """Return the first matching event at or after a position in events."""
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
        """Return a command's result, or its error under the key error."""
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
        """Scan the QR code with a phone and wait for the login."""
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


@dataclass(frozen=True)
class SharedDevice:
    """A connected device that tests share, and two phones that only this test uses."""

    emulator: EmulatorProcess
    client: LinkedClient
    account: str
    friend: str = field(default_factory=new_number)
    stranger: str = field(default_factory=new_number)

    def messages(self) -> list[ReceivedMessage]:
        """Return the messages that the two phones received."""
        numbers = {self.friend, self.stranger}
        return [each for each in self.emulator.messages() if each.to_number in numbers]

    def prepare(self) -> None:
        """Forget earlier events and faults, and connect the device."""
        self.emulator.reset_faults()
        self.emulator.set_receipts("none")
        self.emulator.add_phones([self.friend, self.stranger])
        self.emulator.wait_for(lambda: self.emulator.is_connected(self.account))
        self.client.events.clear()
