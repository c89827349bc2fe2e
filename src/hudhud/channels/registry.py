"""The channels that there are, one row each: how to build one, and how the rest treats it.

CONTRIBUTING.md lists what a new channel needs. Other modules name the sandbox only as the channel
of test keys.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hudhud.channels import sandbox
from hudhud.channels.base import LINKED, SANDBOX, Channel, Parts
from hudhud.core.errors import StartRefused
from hudhud.core.sentences import Sentence, say


@dataclass(frozen=True, slots=True)
class ChannelType:
    """How a channel is built, called and treated.

    Attributes:
        build: constructs the channel of one sender. Raises StartRefused.
        label: what the dashboard calls its senders.
        provider: the name of the service that carries the messages.
        ready: the sentence of the status page while everything works.
        is_paced: whether a sender waits between two messages, as the settings say.
        needs_pairing: whether a person links a phone, by QR code or by number.
        reaches_people: whether messages leave this machine.
        batch_size: how many messages are claimed together.
        number: the number that people write to; None for those of the linked senders.
        chat_address: the address that opens a chat, with holes for `number` and `text`.
    """

    build: Callable[[Parts], Channel]
    label: Sentence
    provider: Sentence
    ready: Sentence
    is_paced: bool
    needs_pairing: bool
    reaches_people: bool = True
    batch_size: int = 1
    number: str | None = None
    chat_address: str = "https://wa.me/{number}?text={text}"


def _linked(parts: Parts) -> Channel:
    # Only a process that needs it may load the WhatsApp library: it takes 60 MB.
    from hudhud.channels.linked.build import build  # noqa: PLC0415

    return build(parts)


def _unknown(_parts: Parts) -> Channel:
    raise StartRefused(
        "The sender's channel is unknown to this version of Hudhud. Update Hudhud on this machine."
    )


CHANNELS: Final[Mapping[str, ChannelType]] = {
    LINKED: ChannelType(
        build=_linked,
        label=say("channel.linked"),
        provider=say("channel.whatsapp"),
        ready=say("channel.linked_ready"),
        is_paced=True,
        needs_pairing=True,
    ),
    SANDBOX: ChannelType(
        build=lambda _parts: sandbox.SandboxChannel(),
        label=say("channel.sandbox"),
        provider=say("channel.sandbox"),
        ready=say("channel.sandbox_ready"),
        is_paced=False,
        needs_pairing=False,
        reaches_people=False,
        # What it takes costs nothing: few large transactions leave the database to those who send.
        batch_size=200,
        number=sandbox.NUMBER,
    ),
}
# Another version of Hudhud, on another machine or before a downgrade, may have left its senders.
UNKNOWN: Final = ChannelType(
    build=_unknown,
    label=say("channel.unknown"),
    provider=say("channel.unknown_provider"),
    ready=say("channel.unknown_ready"),
    is_paced=True,
    needs_pairing=False,
)


def channel_type(name: str) -> ChannelType:
    """Return the row of a channel, `UNKNOWN` where this version has none of that name."""
    return CHANNELS.get(name, UNKNOWN)


def pairable() -> list[str]:
    """Return the names of the channels to which a phone can be linked."""
    return [name for name, row in CHANNELS.items() if row.needs_pairing]
