"""The records that the control API returns."""

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
        to_number: the phone that received it.
        text: the conversation text, "" if the message is of another kind.
        kind: pkmsg for the first of a session, msg afterwards.
        received_at: seconds since the epoch.
        plaintext: the decrypted Message, protobuf in hexadecimal.
        bot_tag: whether the stanza marked it as sent by a bot.
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
    """A linked device of an account.

    Attributes:
        device: its number; the phone itself is device 0.
        logins: times of its login attempts, refused ones included, in seconds since the epoch.
    """

    device: int
    connected: bool
    logins: list[float]


@dataclass(frozen=True)
class Dial:
    """A requested websocket upgrade: time (seconds since the epoch) and status.

    A granted upgrade has status 101. Refused connections are not recorded.
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
