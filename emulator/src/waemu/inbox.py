"""The messages of all phones in order; the oldest are dropped."""

import time
from collections import OrderedDict, deque

from waemu import protobuf
from waemu.records import ReceivedMessage

_KEPT = 50_000

# Field numbers of Message and its parts.
_CONVERSATION = 1
_EXTENDED_TEXT = 6
_EXTENDED_TEXT_TEXT = 1


class Inbox:
    """Received messages, duplicates, and messages that could not be decrypted."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self.count = 0
        self.duplicate_count = 0
        self.undecryptable_count = 0
        self.duplicates: deque[str] = deque(maxlen=kept)
        self.undecryptable: deque[str] = deque(maxlen=kept)
        self._messages: deque[ReceivedMessage] = deque(maxlen=kept)
        self._seen: OrderedDict[tuple[str, str, str], None] = OrderedDict()

    def add(
        self,
        *,
        from_number: str,
        to_number: str,
        message_id: str,
        kind: str,
        plaintext: bytes,
        bot_tag: bool,
    ) -> None:
        self.count += 1
        self._messages.append(
            ReceivedMessage(
                sequence=self.count,
                from_number=from_number,
                to_number=to_number,
                message_id=message_id,
                text=message_text(plaintext),
                kind=kind,
                received_at=time.time(),
                plaintext=plaintext.hex(),
                bot_tag=bot_tag,
            )
        )

    def messages(self, number: str | None, since: int) -> list[ReceivedMessage]:
        """Return messages with a sequence number above since."""
        fresh = []
        for message in reversed(self._messages):
            if message.sequence <= since:
                break
            if number is None or message.to_number == number:
                fresh.append(message)
        return fresh[::-1]

    def seen(self, sender: str, recipient: str, message_id: str) -> bool:
        """Return whether the phone already has this id; record a duplicate.

        Copies of an account's own messages to its phone are not recorded as duplicates.
        """
        if (sender, recipient, message_id) not in self._seen:
            return False
        if sender != recipient:
            self.duplicate_count += 1
            self.duplicates.append(message_id)
        return True

    def mark_seen(self, sender: str, recipient: str, message_id: str) -> None:
        self._seen[sender, recipient, message_id] = None
        while len(self._seen) > self._kept:
            self._seen.popitem(last=False)

    def note_undecryptable(self, message_id: str) -> None:
        self.undecryptable_count += 1
        self.undecryptable.append(message_id)


def message_text(plaintext: bytes) -> str:
    """Return the text of a Message, by default ""."""
    try:
        message = protobuf.decode(plaintext)
        text = message.data(_CONVERSATION)
        extended = message.message(_EXTENDED_TEXT)
        if text is None and extended is not None:
            text = extended.data(_EXTENDED_TEXT_TEXT)
        return (text or b"").decode()
    except ValueError:
        return ""
