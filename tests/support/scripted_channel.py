"""A channel that does what a test says: the seam at which nothing real can be had."""

import threading
from collections.abc import Callable

from hudhud.channels.base import ChannelEvent, StateReport
from hudhud.core.errors import CommandFailed


class ScriptedChannel:
    """Keeps what it was asked to send; fails and answers as told."""

    def __init__(self, *, checks_numbers: bool = False) -> None:
        self.checks_numbers = checks_numbers
        self.sent: list[tuple[str, str]] = []
        self.checked: list[str] = []
        self.has_accounts = True
        self.failure: Exception | None = None
        self.check_failure: Exception | None = None
        self.on_send: Callable[[], None] = lambda: None
        self.on_check: Callable[[], None] = lambda: None
        self.first_state = StateReport("connected", "all")
        self.started = threading.Event()
        self.emit: Callable[[ChannelEvent], None]
        self.logged_out = False
        self.stopped = False

    def start(self, emit: Callable[[ChannelEvent], None]) -> None:
        """Report the first state at once."""
        self.emit = emit
        emit(self.first_state)
        self.started.set()

    def has_account(self, phone: str) -> bool:
        """Answer as told."""
        self.checked.append(phone)
        self.on_check()
        if self.check_failure is not None:
            raise self.check_failure
        return self.has_accounts

    def send(self, phone: str, text: str) -> str:
        """Take the message, or fail as told."""
        self.on_send()
        if self.failure is not None:
            raise self.failure
        self.sent.append((phone, text))
        return f"p-{len(self.sent)}"

    def pair_by_phone(self, phone: str) -> str:
        """Give a code, but not to everybody."""
        if phone != "+201001234567":
            raise CommandFailed("This number cannot be paired.")
        return "ABCD1234"

    def log_out(self) -> None:
        """Log out."""
        self.logged_out = True

    def stop(self) -> None:
        """Disconnect."""
        self.stopped = True
