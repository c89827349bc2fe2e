"""The emulator with the real client library: pairing, sending, receiving, coming back."""

from collections.abc import Callable
from typing import Any

from waemu.client import EmulatorProcess

ACCOUNT = "15550001111"
FRIEND = "15552223333"
STRANGER = "15554445555"

NewClient = Callable[..., Any]


def test_a_device_paired_by_qr_sends_and_the_phone_reads_it(
    emulator: EmulatorProcess, new_client: NewClient
) -> None:
    client = new_client()
    client.pair(ACCOUNT)
    emulator.set_receipts("delivered+read")
    sent = client.do("send", to=FRIEND, text="Your code is 0345")
    (message,) = emulator.messages(FRIEND)
    assert message.text == "Your code is 0345"
    assert message.message_id == sent["id"]
    assert message.from_number == ACCOUNT
    assert message.kind == "pkmsg"
    assert not message.bot_tag
    client.wait_for("Receipt", ids=[sent["id"]], type="DELIVERED")
    client.wait_for("Receipt", ids=[sent["id"]], type="READ")
