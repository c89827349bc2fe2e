"""The emulator's state: accounts, received messages, counted faults."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waemu import protobuf
from waemu.binary import Jid
from waemu.directory import Directory, TakenNumberError, UnknownPhoneError
from waemu.faults import Faults
from waemu.inbox import Inbox, message_text
from waemu.messages import pad, unpad
from waemu.signal import SignalError


def _receive(box: Inbox, number: str, text: str) -> None:
    box.add(
        from_number="1",
        to_number=number,
        message_id=text,
        kind="msg",
        plaintext=protobuf.encode({1: text}),
        bot_tag=False,
    )


def test_phone_is_found_only_by_number_and_lid() -> None:
    directory = Directory()
    phone = directory.add("15550001111")
    assert directory.find(Jid("15550001111")) is phone
    assert directory.find(phone.lid.with_device(3)) is phone
    assert directory.find(Jid(phone.lid.user)) is None
    assert directory.find(Jid("15550001111", "g.us")) is None
    with pytest.raises(UnknownPhoneError):
        directory.phone("15559999999")


def test_phone_is_checked_but_not_found_by_an_alias() -> None:
    directory = Directory()
    directory.every_number_exists = True
    phone = directory.add("556191234567", aliases=["5561991234567"])
    assert directory.check("5561991234567") is phone
    assert directory.check("556191234567") is phone
    assert directory.find(Jid("5561991234567")) is None
    with pytest.raises(TakenNumberError):
        directory.add("15550001111", aliases=["556191234567"])
    other = directory.add("5561991234567")
    assert directory.check("5561991234567") is other
    assert directory.find(Jid("5561991234567")) is other


def test_every_number_exists_on_request() -> None:
    directory = Directory()
    directory.every_number_exists = True
    phone = directory.find(Jid("15550001111"))
    assert phone is not None
    assert directory.find(Jid("15550001111")) is phone
    assert directory.find(phone.lid) is phone
    assert directory.find(Jid("15552223333", "g.us")) is None


def test_phones_never_share_a_lid() -> None:
    directory = Directory()
    lid = Directory().add("15550001111").lid.user
    directory.add("15552223333", lid)
    assert directory.add("15550001111").lid.user != lid


def test_device_numbers_are_not_reused() -> None:
    phone = Directory().add("15550001111")
    assert [phone.next_device() for _ in range(3)] == [1, 2, 3]


def test_messages_are_filtered_by_number_and_sequence() -> None:
    box = Inbox()
    for number, text in [("2", "a"), ("3", "b"), ("2", "c")]:
        _receive(box, number, text)
    assert [message.text for message in box.messages("2", 0)] == ["a", "c"]
    assert [message.text for message in box.messages(None, 1)] == ["b", "c"]
    assert box.messages(None, 3) == []


def test_oldest_messages_are_dropped() -> None:
    box = Inbox(kept=2)
    for text in ("a", "b", "c"):
        _receive(box, "2", text)
        box.mark_seen("1", "2", text)
    assert [message.text for message in box.messages(None, 0)] == ["b", "c"]
    assert box.count == 3
    assert [box.seen("1", "2", text) for text in ("a", "b", "c")] == [False, True, True]
    assert list(box.duplicates) == ["b", "c"]


@pytest.mark.parametrize(
    ("plaintext", "text"),
    [
        (protobuf.encode({1: "plain"}), "plain"),
        (protobuf.encode({6: protobuf.encode({1: "extended"})}), "extended"),
        (protobuf.encode({12: b""}), ""),
        (protobuf.encode({1: b"\xff"}), ""),
        (b"\xff", ""),
    ],
)
def test_text_is_found_in_every_kind_of_message(plaintext: bytes, text: str) -> None:
    assert message_text(plaintext) == text


def test_counted_error_ends() -> None:
    faults = Faults(ack_error="463", ack_error_count=1)
    assert [faults.take_ack_error("2") for _ in range(2)] == ["463", None]
    assert [Faults(ack_error="463").take_ack_error("2") for _ in range(2)] == ["463", "463"]


@given(st.binary(max_size=50))
def test_unpad_reverses_pad(plaintext: bytes) -> None:
    assert 1 <= len(pad(plaintext)) - len(plaintext) <= 15
    assert unpad(pad(plaintext)) == plaintext


@pytest.mark.parametrize("padded", [b"", b"\x00", b"a\x03"])
def test_a_message_without_padding_is_refused(padded: bytes) -> None:
    with pytest.raises(SignalError):
        unpad(padded)
