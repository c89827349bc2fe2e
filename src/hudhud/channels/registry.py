"""The available channels and their properties, one row each.

CONTRIBUTING.md lists the changes for a new channel. Other modules name the sandbox only as the
channel of test keys.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hudhud.channels import sandbox
from hudhud.channels.base import LINKED, SANDBOX, Channel, ChannelParts
from hudhud.core.errors import StartRefused
from hudhud.core.sentences import Sentence, say


@dataclass(frozen=True, slots=True)
class ChannelType:
    """The properties of a channel.

    Attributes:
        build: constructs the channel of one sender. Raises StartRefused.
        label: the dashboard's name for its senders.
        provider: the name of the service that carries the messages.
        ready: the status page's sentence while everything works.
        took: the timeline's sentence for a message that was sent.
        delivered: the timeline's sentence for a message that arrived.
        is_paced: whether senders wait between two messages, as set in the settings.
        needs_pairing: whether a phone must be linked, by QR code or number.
        reaches_people: whether messages leave this machine.
        batch_size: how many messages are claimed at once.
        number: the number that people write to; None for the numbers of the linked senders.
        chat_address: the address that opens a chat, with placeholders `number` and `text`.
    """

    build: Callable[[ChannelParts], Channel]
    label: Sentence
    provider: Sentence
    ready: Sentence
    took: Sentence
    delivered: Sentence
    is_paced: bool
    needs_pairing: bool
    reaches_people: bool = True
    batch_size: int = 1
    number: str | None = None
    chat_address: str = "https://wa.me/{number}?text={text}"


def _linked(parts: ChannelParts) -> Channel:
    # Imported only where needed: the WhatsApp library takes 60 MB.
    from hudhud.channels.linked.build import build  # noqa: PLC0415

    return build(parts)


def _unknown(_parts: ChannelParts) -> Channel:
    raise StartRefused(
        "The sender's channel is unknown to this version of Hudhud. Update Hudhud on this machine."
    )


CHANNELS: Final[Mapping[str, ChannelType]] = {
    LINKED: ChannelType(
        build=_linked,
        label=say("channel.linked"),
        provider=say("channel.whatsapp"),
        ready=say("channel.linked_ready"),
        took=say("channel.linked_took"),
        delivered=say("channel.phone_received"),
        is_paced=True,
        needs_pairing=True,
    ),
    SANDBOX: ChannelType(
        build=lambda _parts: sandbox.SandboxChannel(),
        label=say("channel.sandbox"),
        provider=say("channel.sandbox"),
        ready=say("channel.sandbox_ready"),
        took=say("channel.sandbox_took"),
        delivered=say("channel.sandbox_delivered"),
        is_paced=False,
        needs_pairing=False,
        reaches_people=False,
        # Its sends are instant: few large transactions leave the database to the other senders.
        batch_size=200,
        number=sandbox.NUMBER,
    ),
}
# For senders of another Hudhud version, on another machine or from before a downgrade.
UNKNOWN: Final = ChannelType(
    build=_unknown,
    label=say("channel.unknown"),
    provider=say("channel.unknown_provider"),
    ready=say("channel.unknown_ready"),
    took=say("channel.unknown_took"),
    delivered=say("channel.phone_received"),
    is_paced=True,
    needs_pairing=False,
)


def channel_type(name: str) -> ChannelType:
    """Return a channel's properties, or `UNKNOWN` for an unknown name."""
    return CHANNELS.get(name, UNKNOWN)


def pairable() -> list[str]:
    """Return the names of channels that need pairing."""
    return [name for name, row in CHANNELS.items() if row.needs_pairing]
