"""Pass events of the real library to the client; print JSON.

Runs in a separate process: the library loads Go's runtime and changes logging.
"""

import json
import sys
from dataclasses import asdict
from typing import Any

from neonize import events
from neonize.proto.Neonize_pb2 import JID, MessageInfo, MessageSource
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import ExtendedTextMessage, ImageMessage, Message
from neonize.utils import log
from neonize.utils.enum import LogLevel
from neonize.utils.jid import build_jid

from hudhud.channels.linked.client import Client, keep_library_quiet

SENT_AT = 1_800_000_000
NOBODY = JID(User="", RawAgent=0, Device=0, Integrator=0, Server="", IsEmpty=True)
LID = build_jid("100000000000001", "lid")
PHONE = build_jid("201001234567")
GROUP = build_jid("1203630000", "g.us")
STATUS = build_jid("status", "broadcast")
CHANNEL = build_jid("1203631111", "newsletter")


def source(**changes: Any) -> MessageSource:
    """Return the source of an event, by default a person."""
    fields = {"Chat": LID, "Sender": LID, "SenderAlt": PHONE, "IsFromMe": False, "IsGroup": False}
    fields |= {"RecipientAlt": NOBODY, "BroadcastListOwner": NOBODY}
    return MessageSource(**(fields | changes))


def message(content: Message, origin: MessageSource, *, edited: bool = False) -> Any:
    """Return a message as the library passes it."""
    info = MessageInfo(
        MessageSource=origin, ID="3EB0", Timestamp=SENT_AT * 1000, Edit="1" if edited else ""
    )
    return events.MessageEv(Info=info, Message=content, IsEdit=edited)


def receipt(kind: int, origin: MessageSource) -> Any:
    """Return a receipt for two messages."""
    ids = ["3EB0", "3EB1"]
    return events.ReceiptEv(MessageSource=origin, MessageIDs=ids, Timestamp=SENT_AT, Type=kind)


HELLO = Message(conversation="hello")
MESSAGES = {
    "text": message(HELLO, source()),
    "extended text": message(
        Message(extendedTextMessage=ExtendedTextMessage(text="see")), source()
    ),
    "by phone": message(HELLO, source(Sender=PHONE, Chat=PHONE, SenderAlt=LID)),
    "by lid alone": message(HELLO, source(SenderAlt=NOBODY)),
    "image": message(Message(imageMessage=ImageMessage(caption="x")), source()),
    "own": message(HELLO, source(IsFromMe=True)),
    "group": message(HELLO, source(Chat=GROUP, IsGroup=True)),
    "status": message(HELLO, source(Chat=STATUS)),
    "channel": message(HELLO, source(Chat=CHANNEL)),
    "edit": message(HELLO, source(), edited=True),
}
RECEIPTS = {
    "delivered": receipt(events.ReceiptEv.DELIVERED, source()),
    "read": receipt(events.ReceiptEv.READ, source()),
    "played": receipt(events.ReceiptEv.PLAYED, source()),
    "sender": receipt(events.ReceiptEv.SENDER, source()),
    "retry": receipt(events.ReceiptEv.RETRY, source()),
    "read by oneself": receipt(events.ReceiptEv.READ_SELF, source()),
    "own device": receipt(events.ReceiptEv.READ, source(IsFromMe=True)),
    "in a group": receipt(events.ReceiptEv.READ, source(Chat=GROUP, IsGroup=True)),
    "of a status": receipt(events.ReceiptEv.READ, source(Chat=STATUS)),
}


def main() -> None:
    """Print the results of all events and the library's log lines."""
    made: list[dict[str, Any]] = []

    def collect(thing: Any) -> None:
        made.append({"type": type(thing).__name__} | asdict(thing))

    client = Client(name="test", proxy=None, tell=collect, pass_on=collect)
    result: dict[str, Any] = {}
    for handler, given in ((client._message, MESSAGES), (client._receipt, RECEIPTS)):
        for name, event in given.items():
            handler(event)
            result[name] = made.copy()
            made.clear()
    levels = {}
    for level in ("silent", "error", "warn", "info"):
        keep_library_quiet(level)
        levels[level] = LogLevel.from_logging(log.level).name
    phone = client.find_phone("100000000000001")
    json.dump({"events": result, "levels": levels, "phone": phone}, sys.stdout)


if __name__ == "__main__":
    main()
