"""A Python client that starts the emulator and calls its API."""

import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from waemu.faults import Faults
from waemu.records import Dial, LinkedDevice, ReceiptMode, ReceivedMessage, Stats, Tampering

T = TypeVar("T")

_SECONDS_TO_STOP = 10
_SECONDS_TO_ANSWER = 30
_POLL_SECONDS = 0.02


class EmulatorError(Exception):
    """The emulator did not start or refused an operation."""


class EmulatorClient:
    """Client of the control API. Numbers may start with a plus sign.

    Every method raises EmulatorError if the emulator refuses, for example for an unknown number.
    """

    def __init__(self, control: str) -> None:
        """Connect to the control API at http://127.0.0.1:PORT."""
        self.control = control

    def add_phone(self, number: str, lid: str | None = None, *, aliases: Sequence[str] = ()) -> str:
        """Add a virtual phone, unless it exists, and return its LID.

        Args:
            lid: an explicit LID.
            aliases: other numbers by which number checks find the phone.
        """
        given: str = self._call("add_phone", number=number, lid=lid, aliases=list(aliases))
        return given

    def add_phones(self, numbers: Sequence[str]) -> None:
        self._call("add_phones", numbers=list(numbers))

    def set_every_number_exists(self, *, wanted: bool) -> None:
        """Treat every requested number as having a phone, or only those added."""
        self._call("set_every_number_exists", wanted=wanted)

    def scan(self, qr: str, number: str, *, tamper: Tampering | None = None) -> None:
        """Scan a QR code; tamper corrupts its proof (hmac) or signature (sig)."""
        self._call("scan", qr=qr, number=number, tamper=tamper)

    def enter_code(self, number: str, code: str, *, tamper: Tampering | None = None) -> None:
        """Enter a pairing code; a wrong one appears in pairing_failures()."""
        self._call("enter_code", number=number, code=code, tamper=tamper)

    def pairing_failures(self) -> list[str]:
        """Return why pairings failed: the client's reason ("401 hmac-mismatch") or "wrong code"."""
        failures: list[str] = self._call("pairing_failures")
        return failures

    def drop_pairings(self) -> None:
        """Close the connections of waiting clients, which voids their QR codes."""
        self._call("drop_pairings")

    def unlink(self, number: str) -> None:
        """Remove all linked devices of a phone."""
        self._call("unlink", number=number)

    def messages(self, number: str | None = None, *, since: int = 0) -> list[ReceivedMessage]:
        """Return received, decrypted messages with a sequence number above since, oldest first."""
        found = self._call("messages", number=number, since=since)
        return [ReceivedMessage(**message) for message in found]

    def send_text(
        self,
        from_number: str,
        to_number: str,
        text: str,
        *,
        message_id: str | None = None,
        edits: str | None = None,
    ) -> str:
        """Send a message from a phone to an account; return its id.

        Args:
            message_id: an explicit id, to send the same message twice.
            edits: the id of an earlier message that this one edits.
        """
        sent: str = self._call(
            "send_text",
            from_number=from_number,
            to_number=to_number,
            text=text,
            message_id=message_id,
            edits=edits,
        )
        return sent

    def receipt(
        self, account: str, from_number: str, message_id: str, kind: str | None = None
    ) -> None:
        """Send a receipt to an account: delivered (None) or "read"."""
        self._call(
            "receipt", number=account, from_number=from_number, message_id=message_id, kind=kind
        )

    def set_receipts(self, mode: ReceiptMode, *, delay: float = 0.0) -> None:
        """Set the receipts that phones send automatically, and their delay in seconds."""
        self._call("set_receipts", mode=mode, delay=delay)

    def forget_sessions(self, number: str) -> None:
        """Drop the phone's encryption sessions, which makes it request a retry."""
        self._call("forget_sessions", number=number)

    def connections(self, number: str) -> list[LinkedDevice]:
        """Return an account's linked devices, connected or not, with their login times."""
        return [LinkedDevice(**device) for device in self._call("connections", number=number)]

    def is_connected(self, number: str) -> bool:
        """Return whether any linked device of the account is connected."""
        return any(device.connected for device in self.connections(number))

    def dials(self) -> list[Dial]:
        """Return all websocket upgrades that clients requested."""
        return [Dial(**dial) for dial in self._call("dials")]

    def kick(self, number: str, *, abrupt: bool = True) -> None:
        """End an account's connections, either cut off or closed cleanly."""
        self._call("kick", number=number, abrupt=abrupt)

    def stream_error(
        self, number: str, *, code: str | None = None, conflict: str | None = None
    ) -> None:
        """End an account's connections with a stream error."""
        self._call("stream_error", number=number, code=code, conflict=conflict)

    def faults(self) -> Faults:
        """Return the active faults, with counted ones at their remaining count."""
        return Faults(**self._call("faults"))

    def set_faults(self, faults: Faults) -> None:
        """Replace the active faults by these."""
        self._call("set_faults", faults=asdict(faults))

    def reset_faults(self) -> None:
        self.set_faults(Faults())

    def refused_targets(self) -> list[str]:
        """Return the hosts that the proxy refused."""
        refused: list[str] = self._call("refused_targets")
        return refused

    def undecryptable(self) -> list[str]:
        """Return the message ids of failed decryptions, one for each attempt."""
        ids: list[str] = self._call("undecryptable")
        return ids

    def duplicates(self) -> list[str]:
        """Return the ids of messages that a phone received again and discarded."""
        ids: list[str] = self._call("duplicates")
        return ids

    def stats(self) -> Stats:
        return Stats(**self._call("stats"))

    def wait_for(
        self, predicate: Callable[[], T], *, timeout: float = 30.0, what: str = "a condition"
    ) -> T:
        """Poll until the predicate returns something true, and return that.

        Raises:
            TimeoutError: the time ran out first.
        """
        deadline = time.monotonic() + timeout
        while True:
            found = predicate()
            if found:
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout} s for {what}")
            time.sleep(_POLL_SECONDS)

    def _call(self, operation: str, **arguments: object) -> Any:
        address = urlsplit(self.control)
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=_SECONDS_TO_ANSWER
        )
        try:
            connection.request("POST", f"/{operation}", json.dumps(arguments).encode())
            answer = json.loads(connection.getresponse().read())
        except OSError as error:
            raise EmulatorError(f"the emulator does not answer: {error}") from error
        finally:
            connection.close()
        if "error" in answer:
            raise EmulatorError(answer["error"])
        return answer["result"]


class EmulatorProcess(EmulatorClient):
    """An emulator process that ends at the latest with this one.

    Attributes:
        proxy: the address of the proxy that clients must use.
        ca: the file with the certificate authority that clients must trust.
        root_key: the Noise root key that must be patched into clients.
        websocket: the address for clients that need no proxy.
    """

    def __init__(self, directory: Path | None = None, *, log: Path | None = None) -> None:
        """Configure an emulator; start() runs it.

        Args:
            directory: for its certificates; by default a temporary one that stop() removes.
            log: the file for its log; by default this process's standard error.
        """
        super().__init__(control="")
        self.proxy = ""
        self.ca = Path()
        self.root_key = b""
        self.websocket = ""
        self._directory = directory
        self._log = log
        self._temporary: Path | None = None
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start the process and wait until it listens.

        Raises:
            EmulatorError: the process ended before it listened.
        """
        directory = self._directory
        if directory is None:
            directory = self._temporary = Path(tempfile.mkdtemp(prefix="waemu-"))
        command = [sys.executable, "-m", "waemu", "--die-with-parent", "--dir", str(directory)]
        log = self._log.open("a") if self._log else None
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, this package
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        if log is not None:
            log.close()
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            self.stop()
            raise EmulatorError("the emulator did not start")
        addresses: dict[str, str] = json.loads(line)
        self.control = addresses["control"]
        self.proxy = addresses["proxy"]
        self.ca = Path(addresses["ca"])
        self.root_key = bytes.fromhex(addresses["root_key"])
        self.websocket = addresses["websocket"]
        return self

    def stop(self) -> None:
        """Stop the process, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """Return the environment variables that point a client to this emulator."""
        return {
            "SSL_CERT_FILE": str(self.ca),
            "WAEMU_ROOT_KEY": self.root_key.hex(),
            "WHATSAPP_PROXY": self.proxy,
        }
