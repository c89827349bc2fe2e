"""The sandbox: answers like a phone, and fails for special numbers."""

import threading
from collections.abc import Iterator

import pytest

from hudhud.channels.base import UNNAMED, Account, ChannelEvent, Receipt, StateReport
from hudhud.channels.sandbox import NEVER_DELIVERED, NOT_ON_WHATSAPP, SLOW, SandboxChannel
from hudhud.core.clock import now_ms
from hudhud.core.errors import CommandFailed, NoAccount
from hudhud.core.phones import parse_phone
from support.services import wait_until

PHONE = "+201001234567"


class Heard:
    """Records the channel's callbacks."""

    def __init__(self) -> None:
        self.events: list[ChannelEvent] = []

    def receipts(self) -> list[str]:
        return [event.provider_message_id for event in self.events if isinstance(event, Receipt)]

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.receipts()) >= count, 10, f"{count} receipts")


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def channel(heard: Heard) -> Iterator[SandboxChannel]:
    started = SandboxChannel(slowness_seconds=0.3)
    started.start(heard.events.append)
    yield started
    started.stop()


def test_sandbox_is_connected_at_once(channel: SandboxChannel, heard: Heard) -> None:
    del channel
    (report,) = heard.events
    assert isinstance(report, StateReport)
    assert (report.state, report.carries) == ("connected", "all")


def test_every_message_gets_a_unique_id_and_a_receipt(
    channel: SandboxChannel, heard: Heard
) -> None:
    ids = [channel.send(PHONE, UNNAMED, "0345") for _ in range(20)]
    assert len(set(ids)) == 20
    heard.wait_for(20)
    assert sorted(heard.receipts()) == sorted(ids)


def test_receipt_has_the_current_time(channel: SandboxChannel, heard: Heard) -> None:
    before = now_ms()
    channel.send(PHONE, UNNAMED, "0345")
    heard.wait_for(1)
    receipt = heard.events[-1]
    assert isinstance(receipt, Receipt)
    assert receipt.kind == "delivered"
    assert before <= receipt.at <= now_ms()


def test_special_number_is_not_on_whatsapp(channel: SandboxChannel) -> None:
    with pytest.raises(NoAccount, match="no WhatsApp account"):
        channel.send(NOT_ON_WHATSAPP, UNNAMED, "0345")
    assert channel.find_account(NOT_ON_WHATSAPP) is None
    assert channel.find_account(PHONE) == Account(PHONE, None)


def test_special_number_never_gets_its_messages(channel: SandboxChannel, heard: Heard) -> None:
    never = channel.send(NEVER_DELIVERED, UNNAMED, "0345")
    channel.send(PHONE, UNNAMED, "0345")
    heard.wait_for(1)
    assert never not in heard.receipts()


def test_special_number_is_slow(channel: SandboxChannel, heard: Heard) -> None:
    slow = channel.send(SLOW, UNNAMED, "0345")
    quick = channel.send(PHONE, UNNAMED, "0345")
    heard.wait_for(2)
    assert heard.receipts() == [quick, slow]


@pytest.mark.parametrize("phone", [NOT_ON_WHATSAPP, NEVER_DELIVERED, SLOW])
def test_special_numbers_are_valid_recipients(phone: str) -> None:
    assert parse_phone(phone) is not None


def test_sandbox_cannot_be_paired_or_logged_out(channel: SandboxChannel) -> None:
    with pytest.raises(CommandFailed, match="needs no phone"):
        channel.pair_by_phone(PHONE)
    with pytest.raises(CommandFailed, match="no session"):
        channel.log_out()


def test_stopped_sandbox_leaves_no_thread(heard: Heard) -> None:
    before = set(threading.enumerate())
    channel = SandboxChannel()
    channel.start(heard.events.append)
    channel.send(SLOW, UNNAMED, "0345")
    channel.stop()
    wait_until(lambda: set(threading.enumerate()) <= before, 10, "the thread to end")
