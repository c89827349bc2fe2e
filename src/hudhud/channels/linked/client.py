"""The WhatsApp client of one device, built on neonize (whatsmeow in Go).

Only this module imports neonize. Its events arrive on its own threads, which must not block: they
are passed on at once. Comments here explain each workaround for the library;
`docs/linked-channel.md` lists its other hazards.
"""

import ctypes
import logging
import re
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from types import ModuleType
from typing import Any, Literal, TypeVar

# neonize imports python-magic to detect media types, which Hudhud never sends. python-magic needs
# a system library that a plain Debian lacks: without this stub no sender would start.
sys.modules.setdefault("magic", ModuleType("magic"))

from neonize import events  # noqa: E402 -- after the line above
from neonize._binder import ProxySettings  # noqa: E402
from neonize.client import NewClient  # noqa: E402
from neonize.exc import NeonizeError  # noqa: E402
from neonize.proto.Neonize_pb2 import JID, ConnectFailureReason  # noqa: E402
from neonize.proto.waCompanionReg.WAWebProtobufsCompanionReg_pb2 import DeviceProps  # noqa: E402
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message  # noqa: E402
from neonize.utils.enum import ClientName, ClientType  # noqa: E402
from neonize.utils.jid import Jid2String, build_jid  # noqa: E402

from hudhud.channels.base import UNNAMED, Account, Receipt, ReceiptKind, Written  # noqa: E402
from hudhud.channels.linked.faults import NO_DEVICES, FaultName  # noqa: E402
from hudhud.channels.linked.signals import Linked, Opened, QrShown, Signal, Trouble, WrittenByLid  # noqa: E402
from hudhud.core.clock import SECOND_MS, moment_in, now_ms  # noqa: E402

LogLevel = Literal["silent", "error", "warn", "info"]
T = TypeVar("T")

PHONE_SERVER = "s.whatsapp.net"
LID_SERVER = "lid"
DEVICE = re.compile(r"(\d+)(?:\.(\d+))?(?::(\d+))?@(.+)")

# The phone shows the device as "Google Chrome (Hudhud)".
PROPERTIES = DeviceProps(os="Hudhud", platformType=DeviceProps.CHROME)

KINDS: dict[int, ReceiptKind] = {
    events.ReceiptEv.DELIVERED: "delivered",
    events.ReceiptEv.READ: "read",
    events.ReceiptEv.PLAYED: "read",
}
BAN_REASONS = {
    events.TemporaryBanEv.SEND_TO_TOO_MANY_PEOPLE: "too many messages to strangers",
    events.TemporaryBanEv.BLOCKED_BY_USERS: "too many people blocked it",
    events.TemporaryBanEv.CREATED_TOO_MANY_GROUPS: "too many groups with strangers",
    events.TemporaryBanEv.SENT_TOO_MANY_SAME_MESSAGE: "the same message to too many people",
    events.TemporaryBanEv.BROADCAST_LIST: "too many messages to a broadcast list",
}
LOGOUTS: dict[int, FaultName] = {
    ConnectFailureReason.LOGGED_OUT: "logged_out",
    ConnectFailureReason.MAIN_DEVICE_GONE: "main_device_gone",
    ConnectFailureReason.UNKNOWN_LOGOUT: "unknown_logout",
}
LOGIN_FAULTS: dict[str, FaultName] = {
    "timeout": "qr_timeout",
    "error": "pairing_failed",
    "err-client-outdated": "outdated",
    "err-unexpected-state": "pairing_refused",
    "passkey-request": "passkey",
    "passkey-confirmation": "passkey",
}
LEVELS = {"silent": logging.ERROR, "error": logging.ERROR, "warn": logging.WARNING}


class LibraryError(Exception):
    """A call of the library failed; its text is the only information."""


def in_thread(call: Callable[[], T]) -> Future[T]:
    """Run a call that may never return in a daemon thread."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def keep_library_quiet(level: LogLevel) -> None:
    """Set the library's log level, which by default includes every stanza.

    Never finer than info, because its debug level logs the QR code's secret.
    """
    logging.getLogger("neonize.utils.log").setLevel(LEVELS.get(level, logging.INFO))
    logging.getLogger("neonize.utils.ffmpeg").setLevel(logging.ERROR)  # warns without ffmpeg
    if level == "silent":
        for name in ("whatsmeow", "Whatsmeow"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


class Client:
    """The library's client of one sender.

    It can be opened and closed repeatedly, but never opened twice at once. Calls raise
    LibraryError, and may never return if the network hangs.
    """

    def __init__(
        self,
        *,
        name: str,
        proxy: str | None,
        tell: Callable[[Signal], None],
        pass_on: Callable[[Receipt | Written], None],
    ) -> None:
        self._tell = tell
        self._pass_on = pass_on
        self._proxy = None if proxy is None else ProxySettings(proxy)
        self._library = _Library(name, props=PROPERTIES, uuid=name)
        self._library.tell_login = self._login
        self._library.qr(lambda _client, code: tell(QrShown(code.decode())))
        self._connecting = threading.Thread()
        # The library aborts the process if its store is read before a connection or after its end.
        self._store_lock = threading.Lock()
        self._store_is_open = False
        self._watch()

    def open(self, address: str, device: str | None) -> None:
        """Start connecting with the session of `device`, or linking a new one."""
        self._library.name = address
        self._library.jid = None if device is None else _parse_device(device)
        # Without `new_device` the library would resume the first device in the store.
        self._library.new_device = device is None
        self._connecting = threading.Thread(target=self._connect, daemon=True)
        self._connecting.start()

    def disconnect(self, patience: float) -> bool:
        """Disconnect; return False if that takes longer than `patience` seconds.

        Do not call the library between this and the next `open`: it would abort the process.
        """
        hanging_up = in_thread(self._hang_up)
        wait([hanging_up], patience)
        return hanging_up.done()

    def _hang_up(self) -> None:
        with self._store_lock:
            self._store_is_open = False
            self._library.stop()

    def close(self, patience: float) -> bool:
        """Disconnect and wait until `open` is possible; return False on timeout.

        After a failed link the library's thread never ends; while dialling, it ends only after
        that. Each of the two steps may take `patience` seconds.
        """
        if not self.disconnect(patience):
            return False
        self._connecting.join(patience)
        return not self._connecting.is_alive()

    def is_connected(self, patience: float) -> bool:
        """Return whether it is connected, or False without an answer in time.

        While dialling, the library answers only after that.
        """
        asking = in_thread(lambda: self._library.is_connected)
        wait([asking], patience)
        return asking.done() and bool(asking.result())

    def send(self, phone: str, account: Account, text: str) -> str:
        """Send a text to a number's account; return its id after WhatsApp has accepted it."""
        address = _address(phone, account)
        if address.Server == LID_SERVER:
            self._require_devices(address)
        # neonize would send a plain str as an extended text with link previews.
        message = Message(conversation=text)
        return str(_ask(lambda: self._library.send_message(address, message)).ID)

    def _require_devices(self, address: JID) -> None:
        """Refuse a LID that is gone: the library sends to no device and reports success.

        The library keeps the devices for the send, so that asking first costs nothing.
        """
        if not _ask(lambda: self._library.get_user_devices(address)):
            raise LibraryError(NO_DEVICES)

    def find_account(self, phone: str) -> Account | None:
        """Return a number's account, or None if it has none."""
        answers = _ask(lambda: self._library.is_on_whatsapp(phone))
        # neonize passes on one of the account's addresses, and the library stores both.
        found = next((_account(answer.JID) for answer in answers if answer.IsIn), None)
        return None if found is None else self._complete(found)

    def pair_by_phone(self, phone: str) -> str:
        """Request a pairing code; only while a QR code is shown."""
        return str(
            _ask(
                lambda: self._library.PairPhone(
                    phone,
                    show_push_notification=True,
                    client_name=ClientName.LINUX,
                    client_type=ClientType.CHROME,
                )
            )
        )

    def log_out(self) -> None:
        """Unlink this device at WhatsApp and delete its session."""
        _ask(self._library.logout)

    def find_phone(self, lid: str) -> str | None:
        """Return a LID's phone if the session knows it and is open."""
        return self._look_up(self._library.get_pn_from_lid, build_jid(lid, LID_SERVER)).phone

    def _complete(self, account: Account) -> Account:
        """Add the other name of an account if the session knows it."""
        if account.lid is not None and account.phone is None:
            return Account(self.find_phone(account.lid), account.lid)
        if account.phone is not None and account.lid is None:
            known = self._look_up(self._library.get_lid_from_pn, _phone_address(account.phone))
            return Account(account.phone, known.lid)
        return account

    def _look_up(self, find: Callable[[JID], JID], address: JID) -> Account:
        with self._store_lock:
            try:
                return _account(find(address)) if self._store_is_open else UNNAMED
            except NeonizeError:
                return UNNAMED

    def _connect(self) -> None:
        try:
            self._library.connect(self._proxy)
        except Exception as error:  # any error ends the connection
            self._tell(_class_end(str(error)))

    def _login(self, status: str) -> None:
        if status == "success":
            self._tell(Linked())
        elif fault := LOGIN_FAULTS.get(status):
            self._tell(Trouble(fault, status))

    def _watch(self) -> None:
        troubles: dict[Any, Callable[[Any], Trouble]] = {
            events.DisconnectedEv: lambda _event: Trouble("dropped"),
            events.KeepAliveTimeoutEv: lambda _event: Trouble("silent"),
            events.StreamErrorEv: lambda event: Trouble("stream_error", event.Code),
            events.StreamReplacedEv: lambda _event: Trouble("replaced"),
            events.LoggedOutEv: lambda event: Trouble(LOGOUTS.get(event.Reason, "logged_out")),
            events.TemporaryBanEv: _class_ban,
            events.ClientOutdatedEv: lambda _event: Trouble("outdated"),
            events.ConnectFailureEv: _class_refusal,
        }
        for kind, trouble in troubles.items():
            self._on(kind, self._teller(trouble))
        self._on(events.PairStatusEv, self._linked)
        self._on(events.ConnectedEv, lambda _event: self._opened())
        self._on(events.ReceiptEv, self._receipt)
        self._on(events.MessageEv, self._message)

    def _on(self, kind: Any, handler: Callable[[Any], None]) -> None:
        self._library.event(kind)(lambda _client, event: handler(event))

    def _teller(self, trouble: Callable[[Any], Trouble]) -> Callable[[Any], None]:
        return lambda event: self._tell(trouble(event))

    def _linked(self, event: Any) -> None:
        if event.Status == events.PairStatusEv.SUCCESS:
            self._tell(Linked(Jid2String(event.ID)))

    def _opened(self) -> None:
        # `me` was set by the first event; requesting it from the library can abort the process.
        me = self._library.me
        self._store_is_open = True
        self._tell(Opened(_account(me.JID, me.LID), device=Jid2String(me.JID)))

    def _receipt(self, event: Any) -> None:
        kind = KINDS.get(event.Type)
        if kind is None or not _is_from_a_person(event.MessageSource):
            return
        at = moment_in(event.Timestamp, heard=now_ms())
        reader = _account(event.MessageSource.Sender, event.MessageSource.SenderAlt)
        for message_id in event.MessageIDs:
            self._pass_on(Receipt(message_id, kind, at, reader))

    def _message(self, event: Any) -> None:
        """Pass a text on, ignoring edits: only the original counts.

        A repeated message has the same id, by which the recorder recognises it.
        """
        text = event.Message.conversation or event.Message.extendedTextMessage.text
        source = event.Info.MessageSource
        if event.IsEdit or event.Info.Edit or not text or not _is_from_a_person(source):
            return
        writer = _account(source.Sender, source.SenderAlt)
        # The library gives this time in milliseconds, but WhatsApp's has whole seconds too.
        at = moment_in(event.Info.Timestamp // SECOND_MS, heard=now_ms())
        written = Written(event.Info.ID, writer, text, at)
        if writer.phone is None and writer.lid is not None:
            self._tell(WrittenByLid(written, writer.lid))
        else:
            self._pass_on(written)


class _Library(NewClient):  # type: ignore[misc]  # neonize has no types
    """The library's client, with a hook for the result of linking."""

    tell_login: Callable[[str], None]

    def _NewClient__onLoginStatus(self, _uuid: int, status: int) -> None:  # noqa: N802 -- overrides the library's method
        self.tell_login(ctypes.string_at(status).decode())


def _ask(call: Callable[[], T]) -> T:
    try:
        return call()
    except NeonizeError as error:
        raise LibraryError(str(error)) from error


def _class_end(text: str) -> Trouble:
    """Classify the error with which a connection ended.

    The library raises for enum values that it does not know, although it stays connected.
    """
    if "TemporaryBan.Code not set" in text:
        return Trouble("temporary_ban", "for an unknown reason")
    if "ConnectFailure.Reason not set" in text:
        return Trouble("refused", "for an unknown reason")
    if "database" in text:
        return Trouble("session_unusable", text)
    if "dial" in text or "handshake" in text:
        via = "the proxy: " if "proxyconnect" in text else ""
        return Trouble("unreachable", via + text.rsplit(": ", 1)[-1])
    return Trouble("broken", text)


def _class_ban(event: Any) -> Trouble:
    return Trouble("temporary_ban", BAN_REASONS[event.Code], seconds=event.Expire)


def _class_refusal(event: Any) -> Trouble:
    numbers = [attribute.text for attribute in event.Raw.Attrs if attribute.name == "reason"]
    return Trouble("refused", f"error {' '.join(numbers)}")


def _is_from_a_person(source: Any) -> bool:
    """Return False for groups, statuses, channels and the account itself."""
    is_private = source.Chat.Server in (PHONE_SERVER, LID_SERVER)
    return is_private and not source.IsGroup and not source.IsFromMe


def _address(phone: str, account: Account) -> JID:
    """Return the address of an account, or of a number whose account is unknown."""
    if account.lid is not None:
        return build_jid(account.lid, LID_SERVER)
    return _phone_address(account.phone or phone)


def _phone_address(phone: str) -> JID:
    return build_jid(phone.removeprefix("+"))


def _account(*addresses: JID) -> Account:
    """Return the account that these addresses name."""
    users = {address.Server: address.User for address in addresses if address.User}
    phone = users.get(PHONE_SERVER)
    return Account(None if phone is None else f"+{phone}", users.get(LID_SERVER))


def _parse_device(device: str) -> JID:
    found = DEVICE.fullmatch(device)
    if found is None:
        raise LibraryError(f"{device} is not a device address")
    user, agent, number, server = found.groups()
    jid = build_jid(user, server)
    jid.RawAgent, jid.Device = int(agent or 0), int(number or 0)
    return jid
