"""The thread that keeps a linked device connected and reports its state.

    open ── QR codes ── linked ─┐
      └──────────────────────── opened ── trouble ── close ── wait ── open …

The thread processes one signal at a time. Only it opens and closes the library's client and
reports states. Receipts and inbound messages go directly to the worker's recorder.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from queue import Empty, SimpleQueue

import structlog

from hudhud.channels.base import (
    UNNAMED,
    Account,
    ChannelEvent,
    Receipt,
    Restart,
    StateReport,
    Written,
)
from hudhud.channels.linked.client import Client
from hudhud.channels.linked.faults import FAULTS, Reaction, meaning
from hudhud.channels.linked.following import Next
from hudhud.channels.linked.restriction import Restriction
from hudhud.channels.linked.session_store import SessionStore
from hudhud.channels.linked.signals import (
    Doubt,
    Linked,
    Opened,
    PairCodeGiven,
    QrShown,
    RestrictionChanged,
    Signal,
    Trouble,
    WrittenByLid,
)
from hudhud.channels.linked.timing import Backoff, Timing
from hudhud.core.clock import now_ms
from hudhud.core.masking import mask_text
from hudhud.core.sentences import say

LONGEST_DETAIL = 160
# The library shows six codes: the first for 60 s, the others for 20 s each.
OFFER_SECONDS = 160.0
# How long the library shows each QR code (measured).
FIRST_QR_SECONDS = 60
NEXT_QR_SECONDS = 20
# Removes an expired code even if the library's event for the end of the offer is lost.
OFFER_GRACE_SECONDS = 30.0
# Every opening leaks one or two file descriptors in the library.
MOST_OPENINGS = 100
STOP_SECONDS = 1.5
LOOK_SECONDS = 10.0
LOOK_PATIENCE_SECONDS = 2.0

TYPE_THE_CODE = say("linked.type_the_code")
JUST_LINKED = say("linked.just_linked")
STRANGERS_REFUSED = say("linked.strangers_refused")

log = structlog.get_logger(__name__)


class DeviceConnection:
    """Keeps one linked device connected.

    Attributes:
        is_open: whether messages can be sent now.
        account: the account of the linked device, once it has connected.
        device: the linked device's address; None while none is linked.
        is_resting: whether it is waiting before it reconnects.
        is_leaving: set when an operator logs the device out, to tell this from a logout by phone.
        offer_ends: when the offer of a new link expires (`time.monotonic`); None without one.
    """

    def __init__(
        self,
        *,
        sender: str,
        session: SessionStore,
        device: str | None,
        proxy: str | None,
        initial_retry: float,
        restriction: Restriction,
        banned_until: int | None,
        timing: Timing,
    ) -> None:
        self.client = Client(name=sender, proxy=proxy, tell=self.tell, pass_on=self._pass_on)
        self.is_open = False
        self.is_resting = False
        self.is_leaving = False
        self.account = UNNAMED
        self.device = device
        self.offer_ends: float | None = None
        self._session = session
        self._restriction = restriction
        self._banned_until = banned_until
        self._timing = timing
        self._backoff = Backoff(initial_retry, timing.longest_retry)
        self._signals: SimpleQueue[Signal | None] = SimpleQueue()
        self._emit: Callable[[ChannelEvent], None] = lambda _event: None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._stopping = threading.Event()
        self._address: str | None = None
        self._openings = 0
        self._opened_at = 0.0
        self._offer = StateReport("pairing")
        self._deadline: float | None = None
        self._in_grace = False
        self._by_lid: list[WrittenByLid] = []

    def start(self, emit: Callable[[ChannelEvent], None]) -> None:
        """Start connecting."""
        self._emit = emit
        self._thread.start()

    def stop(self) -> None:
        """Disconnect, waiting at most `STOP_SECONDS`."""
        self._stopping.set()
        self._signals.put(None)
        self._thread.join(STOP_SECONDS)

    def tell(self, signal: Signal) -> None:
        """Queue a signal; callable from any thread."""
        self._signals.put(signal)

    def _pass_on(self, event: Receipt | Written) -> None:
        if isinstance(event, Written):
            self._restriction.forgive(event.account)
        self._emit(event)

    def _run(self) -> None:
        try:
            self._keep_connected()
        except Exception:
            log.exception("the connection thread crashed, restarting the process")
            self._emit(Restart("The connection thread crashed; the log has the error."))

    def _keep_connected(self) -> None:
        following = self._rest(self._wait_out_ban())
        while True:
            if following.restart is None:
                following = self._rest(self._connect_once())
            if self.is_leaving and not following.forgets_device:  # a logout takes precedence
                following = self._rest(self._end_with(Trouble("operator_logout")))
            if self._stopping.is_set():
                return
            if following.restart is not None:
                if following.forgets_device:
                    self._forget_session()
                self._emit(following.restart)
                return

    def _wait_out_ban(self) -> Next:
        """Wait for the rest of a ban that an earlier process reported."""
        left = round(((self._banned_until or 0) - now_ms()) / 1000)
        return self._end_with(Trouble("temporary_ban", seconds=left)) if left > 0 else Next(0)

    def _connect_once(self) -> Next:
        """Open the client, process its signals to the end, and close it."""
        try:
            address = self._find_session()
        except OSError as error:
            return self._end_with(Trouble("session_unusable", str(error)))
        if address is None:
            return self._end_with(Trouble("session_gone"))
        self._drop_old_signals()
        if self.is_leaving:  # its signal may just have been dropped
            return self._end_with(Trouble("operator_logout"))
        self._begin(address)
        following = self._follow()
        self.is_open, self.offer_ends = False, None
        if self._stopping.is_set():
            self.client.disconnect(STOP_SECONDS)
        elif following.restart is None and not self.client.close(self._timing.close):
            return Next(0, Restart("The WhatsApp library does not close its connection."))
        return following

    def _find_session(self) -> str | None:
        """Return the store's address, or None if it lacks the last device.

        It reads the store only before the library first opens it: closing an SQLite file releases
        all locks of the process on it, including those of the library's own SQLite.
        """
        if self._address is None:
            address = self._session.prepare()
            found = self._session.find(self.device)
            if found is None and self.device is not None:
                return None
            self._address, self.device = address, found
        return self._address

    def _drop_old_signals(self) -> None:
        while not self._signals.empty():
            self._keep_message(self._signals.get())

    def _begin(self, address: str) -> None:
        self._openings += 1
        self._offer = StateReport("pairing")
        self._in_grace = False
        self._deadline = time.monotonic() + self._timing.connect
        self.client.open(address, self.device)

    def _rest(self, following: Next) -> Next:
        """Wait for `following.seconds`, or until a stop or an operator's logout."""
        self.is_resting = True
        ends = time.monotonic() + following.seconds
        while (left := ends - time.monotonic()) > 0 and not self._stopping.is_set():
            try:
                signal = self._signals.get(timeout=left)
            except Empty:
                break
            self._keep_message(signal)
            if signal == Trouble("operator_logout") and not following.forgets_device:
                following = self._end_with(Trouble("operator_logout"))
                ends = time.monotonic() + following.seconds
        self.is_resting = False
        return following

    def _keep_message(self, signal: Signal | None) -> None:
        """Keep an inbound message among dropped signals: it comes only once."""
        if isinstance(signal, WrittenByLid):
            self._by_lid.append(signal)

    def _follow(self) -> Next:
        while not self._stopping.is_set():
            signal = self._next_signal()
            if isinstance(signal, Trouble):
                following = self._handle_trouble(signal)
                if following is not None:
                    return following
            elif signal is not None:
                self._handle(signal)
        return Next(0)

    def _next_signal(self) -> Signal | None:
        """Wait for a signal until the deadline, and check the connection periodically.

        The check is needed because the library can lose an event: it reports a login as
        successful even if the connection ends during it.
        """
        left = LOOK_SECONDS
        if self._deadline is not None:
            left = max(0.0, self._deadline - time.monotonic())
        try:
            signal = self._signals.get(timeout=left)
        except Empty:
            if self._deadline is not None:
                return Trouble("unreachable", "no answer in time")
            signal = Doubt()
        if not isinstance(signal, Doubt):
            return signal
        if self.is_open and not self.client.is_connected(LOOK_PATIENCE_SECONDS):
            return Trouble("dropped")
        return None

    def _handle(self, signal: Signal) -> None:
        match signal:
            case QrShown(code):
                self._show_offer(replace(self._offer, qr=code, qr_expires_at=self._qr_end()))
            case PairCodeGiven(code):
                self._show_offer(replace(self._offer, pair_code=code, detail=TYPE_THE_CODE))
            case Linked(device):
                self._note_link(device)
            case Opened(account, device):
                self._enter(account, device)
            case RestrictionChanged():
                self._report_open()
            case WrittenByLid():
                self._by_lid.append(signal)
                self._find_senders()

    def _find_senders(self) -> None:
        """Pass on messages with a LID; while disconnected they wait."""
        while self.is_open and self._by_lid:
            message = self._by_lid.pop(0)
            writer = Account(self.client.find_phone(message.lid), message.lid)
            self._pass_on(replace(message.written, account=writer))

    def _show_offer(self, offer: StateReport) -> None:
        self._offer = offer
        self._emit(offer)
        if self.offer_ends is None:
            self.offer_ends = time.monotonic() + OFFER_SECONDS
        self._deadline = self.offer_ends + OFFER_GRACE_SECONDS

    def _qr_end(self) -> int:
        lasts = FIRST_QR_SECONDS if self.offer_ends is None else NEXT_QR_SECONDS
        return now_ms() + lasts * 1000

    def _note_link(self, device: str | None) -> None:
        """Report the device at once, so that a restart finds its session."""
        self.offer_ends = None
        self.device = device or self.device
        self._deadline = time.monotonic() + self._timing.link
        self._emit(StateReport("pairing", detail=JUST_LINKED, device=device))

    def _enter(self, account: Account, device: str) -> None:
        self.account, self.device = account, device
        self._opened_at = time.monotonic()
        self._deadline, self._in_grace = None, False
        self.is_open = True
        self._report_open()
        self._find_senders()

    def _report_open(self) -> None:
        if not self.is_open:
            return
        state = StateReport("connected", "all", phone=self.account.phone, device=self.device)
        until = self._restriction.until
        if until is not None:
            state = replace(
                state, state="restricted", carries="known", detail=STRANGERS_REFUSED, until=until
            )
        self._emit(state)

    def _handle_trouble(self, trouble: Trouble) -> Next | None:
        """Handle trouble of an open client; None lets the library redial."""
        was_stable = self.is_open and time.monotonic() - self._opened_at >= self._timing.stable
        if was_stable:
            self._backoff.succeed()
        if FAULTS[trouble.fault].reaction is Reaction.LET_REDIAL:
            if self._in_grace:
                return None
            if was_stable or not self.is_open:
                self._let_redial(trouble)
                return None
        if trouble.fault == "qr_timeout" and self.offer_ends is None:
            trouble = Trouble("pairing_refused")
        return self._end_with(trouble, at_once=was_stable)

    def _let_redial(self, trouble: Trouble) -> None:
        self.is_open = False
        self._in_grace = True
        self._deadline = time.monotonic() + self._timing.grace
        self._report(trouble)

    def _end_with(self, trouble: Trouble, *, at_once: bool = False) -> Next:
        """Report trouble that ends the connection, and return the next step.

        `at_once` skips the wait before a reconnect.
        """
        if self.is_leaving and FAULTS[trouble.fault].reaction is Reaction.UNLINK:
            trouble = Trouble("operator_logout")
        pause = self._pause(trouble, at_once=at_once)
        reason = self._report(trouble, until=_end_of_ban(trouble, pause))
        log.warning(
            "linked device fault", fault=trouble.fault, detail=trouble.detail, wait=round(pause)
        )
        match FAULTS[trouble.fault].reaction:
            case Reaction.UNLINK:
                return Next(pause, Restart(reason, forget_device=True))
            case Reaction.NEW_PROCESS:
                return Next(pause, Restart(reason))
            case _ if self._openings >= MOST_OPENINGS:
                return Next(
                    pause, Restart("The WhatsApp library has leaked many file descriptors.")
                )
            case _:
                return Next(pause)

    def _pause(self, trouble: Trouble, *, at_once: bool) -> float:
        pauses = {
            "replaced": self._timing.replaced,
            "temporary_ban": trouble.seconds or self._timing.unknown_ban,
            "outdated": self._timing.outdated,
            "qr_timeout": 0.0,
            "pairing_failed": self._timing.pairing_failed,
            "pairing_refused": self._timing.pairing_refused,
            "passkey": self._timing.passkey,
        }
        if FAULTS[trouble.fault].reaction is Reaction.UNLINK:
            return self._timing.logged_out
        if trouble.fault in pauses:
            return pauses[trouble.fault]
        return 0.0 if at_once else self._backoff.fail()

    def _report(self, trouble: Trouble, until: int | None = None) -> str:
        detail = mask_text(trouble.detail)[:LONGEST_DETAIL]
        sentence = meaning(trouble.fault, detail or "unknown")
        failures, state = self._backoff.failures, FAULTS[trouble.fault].state
        self._emit(StateReport(state, detail=sentence, until=until, failed_reconnects=failures))
        return sentence.english()

    def _forget_session(self) -> None:
        try:
            self._session.forget(self.device)
        except OSError as error:
            log.error("cannot delete the session", error=str(error))
        self.device = None


def _end_of_ban(trouble: Trouble, pause: float) -> int | None:
    return now_ms() + round(pause * 1000) if trouble.fault == "temporary_ban" else None
