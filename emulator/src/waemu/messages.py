"""Carry messages between linked devices and phones, with their acks and receipts."""

import asyncio
import secrets
import time
from collections import Counter

from waemu import protobuf
from waemu.binary import Jid, Node, StanzaError
from waemu.connection import ClientConnection
from waemu.directory import Directory
from waemu.faults import Faults
from waemu.inbox import Inbox
from waemu.phone import Companion, Phone
from waemu.records import ReceiptMode
from waemu.signal import SignalError
from waemu.stanzas import bundle_nodes

_MAX_RETRIES = 3
_MAX_PADDING = 15

# Field numbers of Message, ProtocolMessage, FutureProofMessage and MessageKey.
_CONVERSATION = 1
_PROTOCOL_MESSAGE = 12
_EDITED_MESSAGE = 58
_WRAPPED_MESSAGE = 1
_KEY, _TYPE, _EDIT, _TIMESTAMP_MS = 1, 2, 14, 15
_KEY_JID, _KEY_FROM_ME, _KEY_ID = 1, 2, 3
_MESSAGE_EDIT = 14


class UnreachableError(Exception):
    """The account has no linked device to which messages can be sent."""


class Messages:
    """Carries messages between linked devices and phones.

    Attributes:
        receipts: the receipts that phones send automatically for received messages.
        receipt_delay: seconds until they send them.
    """

    def __init__(self, directory: Directory, inbox: Inbox, faults: Faults) -> None:
        self._directory = directory
        self._inbox = inbox
        self._faults = faults
        self._retries: Counter[tuple[str, str]] = Counter()
        self.receipts: ReceiptMode = "none"
        self.receipt_delay = 0.0

    def take(self, connection: ClientConnection, stanza: Node) -> None:
        """Deliver and acknowledge a message from a linked device.

        Raises:
            StanzaError: the connection is not logged in, or the message is incomplete.
        """
        if connection.companion is None:
            raise StanzaError("a message before the login")
        to = stanza.jid("to")
        recipient = self._directory.find(to)
        number = recipient.number if recipient else to.user
        error = self._faults.take_ack_error(number)
        if error is None:
            self._deliver(connection.companion, stanza)
        if self._faults.drops_ack(number):
            return
        ack = _ack(stanza, error)
        if self._faults.ack_delay:
            asyncio.get_running_loop().call_later(self._faults.ack_delay, connection.send, ack)
        else:
            connection.send(ack)

    def send_text(
        self,
        sender: Phone,
        account: Phone,
        text: str,
        *,
        message_id: str | None,
        edits: str | None,
    ) -> str:
        """Send a message to an account, or edit one; return its id.

        Raises:
            UnreachableError: no linked device of the account has uploaded prekeys.
        """
        message_id = message_id or "3EB0" + secrets.token_hex(9).upper()
        content = protobuf.encode({_CONVERSATION: text})
        if edits is not None:
            content = _edit(sender, edits, content)
        ready = [device for device in account.companions.values() if device.prekeys]
        if not ready:
            raise UnreachableError(f"{account.number} has no linked device that is ready")
        for companion in ready:
            self._send_to(sender, companion, message_id, content, edited=edits is not None)
        return message_id

    def send_receipt(
        self, companion: Companion, phone: Phone, message_id: str, kind: str | None
    ) -> None:
        """Send a receipt to a linked device; kind None means delivered."""
        companion.deliver(_receipt(phone, message_id, kind))

    def _deliver(self, sender: Companion, stanza: Node) -> None:
        participants = stanza.find("participants")
        copies = participants.all("to") if participants else []
        targets = [(to.jid("jid"), to.need("enc")) for to in copies]
        direct = stanza.find("enc")
        if direct is not None:
            targets.append((stanza.jid("to"), direct))
        for address, encrypted in targets:
            phone = self._directory.find(address)
            if phone is not None and address.device == 0:
                self._decrypt(sender, phone, stanza, encrypted)
            elif phone is not None:
                self._forward(sender, phone, address.device, stanza, encrypted)

    def _decrypt(self, sender: Companion, phone: Phone, stanza: Node, encrypted: Node) -> None:
        message_id, kind = stanza.text("id"), encrypted.text("type")
        parties = (sender.phone.number, phone.number, message_id)
        if self._inbox.seen(*parties):
            self._schedule_receipts(sender, phone, message_id)
            return
        try:
            plaintext = unpad(phone.signal.decrypt(str(sender.jid), kind, encrypted.data))
        except SignalError:
            self._inbox.note_undecryptable(message_id)
            self._ask_again(sender, phone, message_id)
            return
        self._inbox.mark_seen(*parties)
        self._retries.pop((phone.number, message_id), None)
        if phone is not sender.phone:
            self._inbox.add(
                from_number=sender.phone.number,
                to_number=phone.number,
                message_id=message_id,
                kind=kind,
                plaintext=plaintext,
                bot_tag=stanza.find("bot") is not None,
            )
        self._schedule_receipts(sender, phone, message_id)

    def _forward(
        self, sender: Companion, phone: Phone, device: int, stanza: Node, encrypted: Node
    ) -> None:
        """Forward a message to another linked device, which decrypts it itself."""
        companion = phone.companions.get(device)
        if companion is None:
            return
        attrs: dict[str, str | Jid] = {"from": sender.jid, "id": stanza.text("id")}
        attrs |= {"t": str(int(time.time())), "type": stanza.text("type") or "text"}
        attrs["notify"] = sender.phone.number
        if phone is sender.phone:
            attrs["recipient"] = stanza.jid("to")
        else:
            attrs["sender_pn"] = sender.phone.jid
        identity = stanza.find("device-identity")
        content = [encrypted] if identity is None else [encrypted, identity]
        companion.deliver(Node("message", attrs, content))

    def _ask_again(self, sender: Companion, phone: Phone, message_id: str) -> None:
        """Request a retry of an undecryptable message, with keys for a session."""
        retries = self._retries[phone.number, message_id]
        if retries >= _MAX_RETRIES:
            return
        self._retries[phone.number, message_id] += 1
        registration, *keys = bundle_nodes(phone.signal.bundle())
        retry: dict[str, str | Jid] = {"count": str(retries + 1), "id": message_id, "v": "1"}
        receipt = _receipt(phone, message_id, "retry")
        retry["t"] = receipt.text("t")
        receipt.content = [Node("retry", retry), registration, Node("keys", content=keys)]
        sender.deliver(receipt)

    def _schedule_receipts(self, companion: Companion, phone: Phone, message_id: str) -> None:
        withheld = phone.number in self._faults.receipts_withheld
        if self.receipts == "none" or withheld or phone is companion.phone:
            return
        kinds: list[str | None] = [None] if self.receipts == "delivered" else [None, "read"]
        for kind in kinds:
            receipt = _receipt(phone, message_id, kind)
            asyncio.get_running_loop().call_later(self.receipt_delay, companion.deliver, receipt)

    def _send_to(
        self, sender: Phone, companion: Companion, message_id: str, content: bytes, *, edited: bool
    ) -> None:
        address = str(companion.jid)
        if companion.prekeys and not sender.signal.has_session(address):
            sender.signal.start_session(address, companion.prekeys.take_bundle())
        kind, ciphertext = sender.signal.encrypt(address, pad(content))
        attrs: dict[str, str | Jid] = {"from": sender.lid}
        if not self._faults.hide_numbers:
            attrs["sender_pn"] = sender.jid
        attrs |= {"id": message_id, "t": str(int(time.time())), "type": "text"}
        attrs["notify"] = f"Phone {sender.number}"
        if edited:
            attrs["edit"] = "1"
        encrypted = Node("enc", {"v": "2", "type": kind}, ciphertext)
        companion.deliver(Node("message", attrs, [encrypted]))


def pad(plaintext: bytes) -> bytes:
    """Append 1 to 15 bytes, each holding their number, as padding."""
    count = 1 + secrets.randbelow(_MAX_PADDING)
    return plaintext + bytes([count]) * count


def unpad(padded: bytes) -> bytes:
    """Remove the padding.

    Raises:
        SignalError: there is none.
    """
    if not padded or not 0 < padded[-1] <= len(padded):
        raise SignalError("a message without padding")
    return padded[: -padded[-1]]


def _ack(stanza: Node, error: str | None) -> Node:
    attrs: dict[str, str | Jid] = {"class": "message", "id": stanza.text("id")}
    attrs |= {"from": stanza.jid("to"), "t": str(int(time.time()))}
    if error is not None:
        attrs["error"] = error
    return Node("ack", attrs)


def _receipt(phone: Phone, message_id: str, kind: str | None) -> Node:
    attrs: dict[str, str | Jid] = {"from": phone.lid, "id": message_id}
    attrs["t"] = str(int(time.time()))
    if kind is not None:
        attrs["type"] = kind
    return Node("receipt", attrs)


def _edit(sender: Phone, message_id: str, content: bytes) -> bytes:
    key = protobuf.encode({_KEY_JID: str(sender.lid), _KEY_FROM_ME: 1, _KEY_ID: message_id})
    protocol_message = protobuf.encode(
        {
            _KEY: key,
            _TYPE: _MESSAGE_EDIT,
            _EDIT: content,
            _TIMESTAMP_MS: int(time.time() * 1000),
        }
    )
    wrapped = protobuf.encode({_PROTOCOL_MESSAGE: protocol_message})
    return protobuf.encode({_EDITED_MESSAGE: protobuf.encode({_WRAPPED_MESSAGE: wrapped})})
