"""A scripted channel, in place of WhatsApp, which tests cannot use."""

import threading
from collections.abc import Callable

from hudhud.channels.base import Account, ChannelEvent, StateReport
from hudhud.core.errors import CommandFailed, NoAccount


class ScriptedChannel:
    """Records its messages; fails and answers as scripted."""

    def __init__(self, *, checks_numbers: bool = False) -> None:
        self.checks_numbers = checks_numbers
        self.sent: list[tuple[str, str]] = []
        self.checked: list[str] = []
        self.addressed: list[Account] = []
        self.account_of: Callable[[str], Account | None] = lambda phone: Account(phone, None)
        self.gone: set[Account] = set()
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

    def find_account(self, phone: str) -> Account | None:
        """Answer as scripted."""
        self.checked.append(phone)
        self.on_check()
        if self.check_failure is not None:
            raise self.check_failure
        return self.account_of(phone)

    def send(self, phone: str, account: Account, text: str) -> str:
        """Record the message, or fail as scripted; accounts that are gone get none."""
        self.on_send()
        if self.failure is not None:
            raise self.failure
        self.addressed.append(account)
        if account in self.gone:
            raise NoAccount
        self.sent.append((phone, text))
        return f"p-{len(self.sent)}"

    def pair_by_phone(self, phone: str) -> str:
        """Return a code, or refuse certain numbers."""
        if phone != "+201001234567":
            raise CommandFailed("This number cannot be paired.")
        return "ABCD1234"

    def log_out(self) -> None:
        self.logged_out = True

    def stop(self) -> None:
        self.stopped = True
