"""What the emulator tells about itself, in the form in which it goes through the control API."""

from dataclasses import dataclass
from typing import Literal

ReceiptMode = Literal["none", "delivered", "delivered+read"]
Tampering = Literal["hmac", "sig"]


@dataclass(frozen=True)
class ReceivedMessage:
    """A message that a phone received and decrypted.

    Attributes:
        sequence: counts all messages of this emulator from 1.
        from_number: the account whose linked device sent it.
        to_number: the phone that got it.
        text: the conversation text, "" if the message is of another kind.
        kind: pkmsg for the first of a session, msg afterwards.
        received_at: seconds since the epoch.
        plaintext: the decrypted Message, protobuf in hexadecimal.
        bot_tag: whether the stanza said that a bot sent it.
    """

    sequence: int
    from_number: str
    to_number: str
    message_id: str
    text: str
    kind: str
    received_at: float
    plaintext: str
    bot_tag: bool


@dataclass(frozen=True)
class LinkedDevice:
    """A companion of an account.

    Attributes:
        device: its number; the phone itself is device 0.
        logins: when it logged in, refused attempts included, in seconds since the epoch.
    """

    device: int
    connected: bool
    logins: list[float]


@dataclass(frozen=True)
class Dial:
    """A websocket upgrade that was asked for: when (seconds since the epoch), and the HTTP status.

    The status is 101 where it was granted. Connections that were refused leave no trace.
    """

    at: float
    status: int


@dataclass(frozen=True)
class Stats:
    """Counts since the start."""

    phones: int
    connections: int
    messages: int
    duplicates: int
    undecryptable: int
    client_errors: int
    stanzas: dict[str, int]
