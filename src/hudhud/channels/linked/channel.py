"""The channel over a linked WhatsApp device.

`DeviceConnection` keeps the device connected in a separate thread. This module has the worker's
calls, each with a timeout, because the library's calls may never return.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import Future

from hudhud.channels.base import Account, ChannelEvent, Restart
from hudhud.channels.linked.client import LibraryError, LogLevel, in_thread, keep_library_quiet
from hudhud.channels.linked.connection import DeviceConnection
from hudhud.channels.linked.faults import Refusal, class_refusal
from hudhud.channels.linked.restriction import Recipient, Restriction
from hudhud.channels.linked.session_store import SessionStore
from hudhud.channels.linked.signals import Doubt, PairCodeGiven, RestrictionChanged, Trouble
from hudhud.channels.linked.timing import Timing
from hudhud.core.clock import now_ms
from hudhud.core.errors import (
    CommandFailed,
    NoAccount,
    OwnNumber,
    PermanentFailure,
    Snoozed,
    TransientFailure,
)
from hudhud.core.masking import mask_text
from hudhud.core.phones import canonical_or_same
from hudhud.core.sentences import Sentence, say

# Shortest time left to find the phone and type eight characters.
SHORTEST_OFFER_SECONDS = 45.0
POLL_SECONDS = 0.05

STRANGER = say("job.stranger")
TOO_MUCH = say("job.too_much")
OFFLINE = say("job.offline")


class LinkedChannel:
    """Sends over one linked device.

    Args:
        sender: the sender's name, also that of the library's client.
        session: the store of the device's session.
        device: the last linked device, from a `StateReport`; None for a new link.
        proxy: http:// or socks5:// address; None uses the environment's, as Go reads it.
        initial_retry: seconds before the first reconnect; they double with each failure.
        log_level: the library's log level.
        wrote_first: whether this person has ever written to us.
        banned_until: end of a ban that an earlier process reported, in milliseconds.
        strangers_refused_until: earliest probe of a restriction that an earlier process reported.
        timing: timeouts and pauses, for tests.
    """

    checks_numbers = True

    def __init__(
        self,
        *,
        sender: str,
        session: SessionStore,
        device: str | None,
        proxy: str | None,
        initial_retry: float,
        log_level: LogLevel,
        wrote_first: Callable[[str], bool],
        banned_until: int | None = None,
        strangers_refused_until: int | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._timing = timing or Timing()
        self._restriction = Restriction(
            self._timing.waits, wrote_first, until=strangers_refused_until
        )
        self._quiet_until = 0.0
        self._emit: Callable[[ChannelEvent], None] = lambda _event: None
        keep_library_quiet(log_level)
        self._connection = DeviceConnection(
            sender=sender,
            session=session,
            device=device,
            proxy=proxy,
            initial_retry=initial_retry,
            restriction=self._restriction,
            banned_until=banned_until,
            timing=self._timing,
        )

    def start(self, emit: Callable[[ChannelEvent], None]) -> None:
        """Start connecting, and discard this process's stdout.

        The Go library prints there on its own, including errors with full phone numbers.
        """
        with open(os.devnull, "w") as nothing:  # noqa: PTH123 -- no path of ours
            os.dup2(nothing.fileno(), 1)
        self._emit = emit
        self._connection.start(emit)

    def find_account(self, phone: str) -> Account | None:
        """Return a number's WhatsApp account, or None if it has none.

        Raises Snoozed while offline or slowed down, TransientFailure without an answer.
        """
        self._require_connection()
        asking = in_thread(lambda: self._connection.client.find_account(phone))
        try:
            return asking.result(self._timing.number_check)
        except TimeoutError:
            raise TransientFailure(say("job.no_number_check")) from None
        except LibraryError as error:
            raise self._class_error(Recipient(phone), str(error)) from error

    def send(self, phone: str, account: Account, text: str) -> str:
        """Send a text and return its id once WhatsApp has accepted it.

        Raises NoAccount, OwnNumber, Snoozed while offline, slowed down or refused for this person,
        TransientFailure for errors worth a retry. After a TransientFailure the message may
        nevertheless have been sent.
        """
        self._require_connection()
        recipient = Recipient(phone, account)
        self._require_other_person(recipient)
        self._require_permission(recipient)
        sending = in_thread(lambda: self._connection.client.send(phone, account, text))
        try:
            message_id = sending.result(self._timing.send)
        except TimeoutError:
            message_id = self._cut_off(sending)
        except LibraryError as error:
            raise self._class_error(recipient, str(error)) from error
        if self._restriction.accept(recipient):
            self._connection.tell(RestrictionChanged())
        return message_id

    def pair_by_phone(self, phone: str) -> str:
        """Return WhatsApp's eight-character pairing code for this phone.

        Raises CommandFailed if a device is already linked or WhatsApp returns no code.
        """
        self._wait_for_offer()
        asking = in_thread(lambda: self._connection.client.pair_by_phone(phone))
        try:
            code = asking.result(self._timing.pair_code)
        except TimeoutError:
            raise CommandFailed(say("command.no_answer")) from None
        except LibraryError as error:
            reason = mask_text(str(error))
            raise CommandFailed(say("command.no_pair_code", reason=reason)) from error
        self._connection.tell(PairCodeGiven(code))
        return code

    def log_out(self) -> None:
        """Unlink the device and delete its session; a Restart follows.

        Raises CommandFailed if no device is linked, or if WhatsApp did not confirm the logout; the
        session is then still deleted.
        """
        if self._connection.device is None:
            raise CommandFailed(say("command.no_device"))
        self._wait_to_open()
        self._connection.is_leaving = True
        told = self._connection.is_open and self._tell_whatsapp_to_unlink()
        self._connection.tell(Trouble("operator_logout"))
        if not told:
            raise CommandFailed(say("command.not_unlinked"))

    def stop(self) -> None:
        """Disconnect within 2 s; hanging calls end with the process."""
        self._connection.stop()

    def _wait_to_open(self) -> None:
        """Wait for a connection in progress, which the logout needs."""
        ends = time.monotonic() + self._timing.logout
        while not (self._connection.is_open or self._connection.is_resting):
            if time.monotonic() > ends:
                return
            time.sleep(POLL_SECONDS)

    def _tell_whatsapp_to_unlink(self) -> bool:
        try:
            in_thread(self._connection.client.log_out).result(self._timing.logout)
        except (LibraryError, TimeoutError):
            return False
        return True

    def _require_connection(self) -> None:
        if not self._connection.is_open:
            raise Snoozed(OFFLINE, self._timing.offline)
        quiet = self._quiet_until - time.monotonic()
        if quiet > 0:
            raise self._snooze(TOO_MUCH, quiet)

    def _require_other_person(self, recipient: Recipient) -> None:
        own = self._connection.account
        numbers = frozenset() if own.phone is None else {canonical_or_same(own.phone)}
        if recipient.names & (own.names | numbers):
            raise OwnNumber

    def _require_permission(self, recipient: Recipient) -> None:
        wait = self._restriction.wait(recipient, now_ms())
        if wait > 0:
            raise self._snooze(STRANGER, wait)

    def _snooze(self, reason: Sentence, seconds: float) -> Snoozed:
        return Snoozed(reason, min(seconds, self._timing.snooze))

    def _class_error(
        self, recipient: Recipient, text: str
    ) -> PermanentFailure | Snoozed | TransientFailure:
        match class_refusal(text):
            case Refusal.NO_ACCOUNT:
                return NoAccount()
            case Refusal.STRANGER:
                if self._restriction.refuse(recipient, now_ms()):
                    self._connection.tell(RestrictionChanged())
                return self._snooze(STRANGER, self._timing.waits.person)
            case Refusal.TOO_MUCH:
                self._quiet_until = time.monotonic() + self._timing.too_much
                return self._snooze(TOO_MUCH, self._timing.too_much)
            case Refusal.OFFLINE:
                self._connection.tell(Doubt())
                return Snoozed(OFFLINE, self._timing.offline)
            case Refusal.OTHER:
                return TransientFailure(say("job.not_taken", detail=mask_text(text)))

    def _cut_off(self, sending: Future[str]) -> str:
        """Close the connection of a hanging send; restart if it still hangs."""
        self._connection.tell(Trouble("hung_send"))
        try:
            return sending.result(self._timing.freed)  # the answer may arrive late
        except TimeoutError:
            self._emit(Restart("A call of the WhatsApp library does not return."))
        except LibraryError:
            pass
        raise TransientFailure(say("job.unknown_outcome"))

    def _wait_for_offer(self) -> None:
        ends = time.monotonic() + self._timing.pair_code
        while (offer_ends := self._connection.offer_ends) is None:
            if self._connection.device is not None:
                raise CommandFailed(say("command.linked_already"))
            if self._connection.is_resting or time.monotonic() > ends:
                raise CommandFailed(say("command.no_link"))
            time.sleep(POLL_SECONDS)
        if offer_ends - time.monotonic() < SHORTEST_OFFER_SECONDS:
            self._emit(Restart("A pairing code needs a new link."))
            raise CommandFailed(say("command.link_ran_out"))
