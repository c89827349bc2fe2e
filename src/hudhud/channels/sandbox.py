"""The sandbox: a channel for integration tests, which sends nothing.

`GET /api/v1/sandbox/messages` returns its messages; the database keeps them sealed while the code
is valid. Messages to three numbers fail, stay undelivered or arrive late; a fourth number is the
sandbox's own. No person has these numbers: Ofcom reserves them for drama.
"""

import heapq
import itertools
import math
import secrets
import threading
import time
from collections.abc import Callable

from hudhud.channels.base import Account, ChannelEvent, Receipt, StateReport
from hudhud.core.clock import now_ms
from hudhud.core.errors import CommandFailed, NoAccount
from hudhud.core.sentences import say

# The sandbox's own number, for links; `POST /api/v1/sandbox/inbound` simulates messages to it.
NUMBER = "+447700900000"
NOT_ON_WHATSAPP = "+447700900001"
NEVER_DELIVERED = "+447700900002"
SLOW = "+447700900003"

DELIVERED_AFTER_SECONDS = 0.2
# Receipts come in groups, because the thread that emits them wakes up for each group.
GROUP_SECONDS = 0.02
SLOWNESS_SECONDS = 10.0


class SandboxChannel:
    """Accept every message and emit receipts, like a phone.

    Receipts of `SLOW` come `slowness_seconds` later.
    """

    checks_numbers = False

    def __init__(self, slowness_seconds: float = SLOWNESS_SECONDS) -> None:
        self._slowness_seconds = slowness_seconds
        self._process = secrets.token_hex(8)  # one for each message would take 10 µs
        self._numbers = itertools.count(1)
        self._due: list[tuple[float, str]] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._emit: Callable[[ChannelEvent], None] = lambda _event: None
        self._thread = threading.Thread(target=self._give_receipts, daemon=True)

    def start(self, emit: Callable[[ChannelEvent], None]) -> None:
        """Report a connection at once, and start emitting receipts."""
        self._emit = emit
        self._thread.start()
        detail = say("sandbox.connected")
        emit(StateReport("connected", "all", detail=detail))

    def find_account(self, phone: str) -> Account | None:
        """Return an account with this number, or None for `NOT_ON_WHATSAPP`."""
        return None if phone == NOT_ON_WHATSAPP else Account(phone, None)

    def send(self, phone: str, account: Account, text: str) -> str:  # noqa: ARG002 -- the database keeps the text
        """Accept a message and schedule its receipt, except for `NEVER_DELIVERED`.

        Raises NoAccount for `NOT_ON_WHATSAPP`.
        """
        if phone == NOT_ON_WHATSAPP:
            raise NoAccount
        provider_message_id = f"sandbox-{self._process}-{next(self._numbers)}"
        if phone != NEVER_DELIVERED:
            delay = self._slowness_seconds if phone == SLOW else 0.0
            self._plan_receipt(provider_message_id, delay + DELIVERED_AFTER_SECONDS)
        return provider_message_id

    def pair_by_phone(self, phone: str) -> str:  # noqa: ARG002
        """Raise CommandFailed: the sandbox has no phone."""
        raise CommandFailed(say("command.needs_no_phone"))

    def log_out(self) -> None:
        """Raise CommandFailed: the sandbox has no session."""
        raise CommandFailed(say("command.has_no_session"))

    def stop(self) -> None:
        """Stop emitting receipts."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def _plan_receipt(self, provider_message_id: str, seconds: float) -> None:
        due = math.ceil((time.monotonic() + seconds) / GROUP_SECONDS) * GROUP_SECONDS
        with self._changed:
            is_next = not self._due or due < self._due[0][0]
            heapq.heappush(self._due, (due, provider_message_id))
            if is_next:
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
