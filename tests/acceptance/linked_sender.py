"""The sender process of `linked_hudhud`, with waits of seconds instead of minutes.

Only the waits differ: faults and reactions are those of production.
"""

from hudhud.channels.base import LINKED, Channel, ChannelParts
from hudhud.channels.linked.restriction import Waits
from hudhud.channels.linked.timing import Timing
from hudhud.cli.demo import sender

IMPATIENT = Timing(
    send=3.0,
    number_check=2.0,
    grace=2.0,
    stable=0.5,
    longest_retry=1.0,
    replaced=2.0,
    outdated=2.0,
    unknown_ban=2.0,
    pairing_failed=1.0,
    pairing_refused=1.0,
    passkey=2.0,
    logged_out=1.0,
    too_much=2.0,
    offline=0.2,
    snooze=0.5,
    waits=Waits(person=1.0, first_probe=3.0, longest_probe=3.0),
)


def build_impatient(parts: ChannelParts) -> Channel:
    from hudhud.channels.linked.build import build  # noqa: PLC0415 -- loads the library

    return build(parts, IMPATIENT)


if __name__ == "__main__":
    sender.main({LINKED: build_impatient})
