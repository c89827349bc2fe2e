"""The sandbox sends nothing: for tests of those who integrate, without a phone.

What it took can be read at `GET /api/v1/sandbox/messages`; the database keeps it, sealed, as long
as the code is valid. Three numbers, which no person has (Ofcom reserves them for drama), fail on
purpose; a fourth is its own.
"""

import heapq
import secrets
import threading
import time
from collections.abc import Callable

from hudhud.channels.base import ChannelEvent, Receipt, StateReport
from hudhud.core.clock import now_ms
from hudhud.core.errors import CommandFailed, PermanentFailure
from hudhud.core.sentences import say

# To whom links are written; what people would write is told by `POST /api/v1/sandbox/inbound`.
NUMBER = "+447700900000"
NOT_ON_WHATSAPP = "+447700900001"
NEVER_DELIVERED = "+447700900002"
SLOW = "+447700900003"

DELIVERED_AFTER_SECONDS = 0.2
SLOWNESS_SECONDS = 10.0


class SandboxChannel:
    """Takes every message and answers with receipts, as a phone would.

    `slowness_seconds` is how much later the receipts of `SLOW` come.
    """

    checks_numbers = False

    def __init__(self, slowness_seconds: float = SLOWNESS_SECONDS) -> None:
        self._slowness_seconds = slowness_seconds
        self._due: list[tuple[float, str]] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._emit: Callable[[ChannelEvent], None] = lambda _event: None
        self._thread = threading.Thread(target=self._give_receipts, daemon=True)

    def start(self, emit: Callable[[ChannelEvent], None]) -> None:
        """Report a connection: the sandbox is always there."""
        self._emit = emit
        self._thread.start()
        detail = say("sandbox.connected")
        emit(StateReport("connected", "all", detail=detail))

    def has_account(self, phone: str) -> bool:
        """Tell whether the sandbox pretends that the number has an account."""
        return phone != NOT_ON_WHATSAPP

    def send(self, phone: str, text: str) -> str:  # noqa: ARG002 -- the database keeps the text
        """Take a message; its receipts follow, later for `SLOW`, never for `NEVER_DELIVERED`."""
        if phone == NOT_ON_WHATSAPP:
            raise PermanentFailure(say("job.no_account"))
        provider_message_id = "sandbox-" + secrets.token_hex(8)
        if phone != NEVER_DELIVERED:
            delay = self._slowness_seconds if phone == SLOW else 0.0
            self._plan_receipt(provider_message_id, delay + DELIVERED_AFTER_SECONDS)
        return provider_message_id

    def pair_by_phone(self, phone: str) -> str:  # noqa: ARG002
        """Refuse: there is nothing to pair."""
        raise CommandFailed(say("command.needs_no_phone"))

    def log_out(self) -> None:
        """Refuse: there is nothing to log out."""
        raise CommandFailed(say("command.has_no_session"))

    def stop(self) -> None:
        """Stop giving receipts."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def _plan_receipt(self, provider_message_id: str, seconds: float) -> None:
        due = time.monotonic() + seconds
        with self._changed:
            heapq.heappush(self._due, (due, provider_message_id))
            self._changed.notify()

    def _give_receipts(self) -> None:
        while (receipts := self._wait_for_due()) is not None:
            for receipt in receipts:
                self._emit(receipt)

    def _wait_for_due(self) -> list[Receipt] | None:
        with self._changed:
            while not self._stopping:
                left = self._due[0][0] - time.monotonic() if self._due else None
                if left is not None and left <= 0:
                    return self._take_due()
                self._changed.wait(left)
        return None

    def _take_due(self) -> list[Receipt]:
        taken = []
        while self._due and self._due[0][0] <= time.monotonic():
            _due, provider_message_id = heapq.heappop(self._due)
            taken.append(Receipt(provider_message_id, "delivered", now_ms()))
        return taken
