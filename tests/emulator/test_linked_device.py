"""The emulator with the real client library: pairing, sending, receiving, reconnecting."""

from collections.abc import Callable
from typing import Any

import pytest

from support.emulated_device import SharedDevice
from waemu.client import EmulatorProcess
from waemu.faults import Faults

ACCOUNT = "15550001111"
FRIEND = "15552223333"
STRANGER = "15554445555"

NewClient = Callable[..., Any]


def test_phone_reads_a_message_of_a_device_paired_by_qr(
    emulator: EmulatorProcess, new_client: NewClient
) -> None:
    client = new_client()
    client.pair(ACCOUNT)
    assert emulator.is_connected(ACCOUNT)
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
    assert emulator.refused_targets() == []
    assert emulator.undecryptable() == []


def test_device_is_paired_by_pairing_code(emulator: EmulatorProcess, new_client: NewClient) -> None:
    client = new_client()
    client.wait_for("qr")
    code = client.do("pair_phone", number=ACCOUNT)["code"]
    emulator.enter_code(ACCOUNT, code)
    client.wait_for("login", status="success")
    client.wait_for("Connected")
    client.do("send", to=FRIEND, text="by code")
    assert [message.text for message in emulator.messages(FRIEND)] == ["by code"]


def test_wrong_pairing_code_is_refused(emulator: EmulatorProcess, new_client: NewClient) -> None:
    client = new_client()
    client.wait_for("qr")
    code = client.do("pair_phone", number=ACCOUNT)["code"]
    wrong = ("2" if code[0] == "1" else "1") + code[1:]
    emulator.enter_code(ACCOUNT, wrong)
    assert emulator.wait_for(emulator.pairing_failures) == ["wrong code"]
    assert emulator.connections(ACCOUNT) == []


def test_a_number_without_a_phone_gets_no_code(new_client: NewClient) -> None:
    client = new_client()
    client.wait_for("qr")
    assert "404" in client.do("pair_phone", number="19998887777")["error"]


@pytest.mark.parametrize(
    ("tamper", "failure"), [("hmac", "401 hmac-mismatch"), ("sig", "401 signature-mismatch")]
)
def test_client_refuses_a_pairing_with_a_wrong_signature(
    emulator: EmulatorProcess, new_client: NewClient, tamper: Any, failure: str
) -> None:
    client = new_client()
    emulator.scan(client.wait_for("qr")["code"], ACCOUNT, tamper=tamper)
    assert emulator.wait_for(emulator.pairing_failures) == [failure]
    assert emulator.connections(ACCOUNT) == []


@pytest.mark.parametrize("passkey", ["offer", "link"])
def test_a_phone_asks_for_a_passkey_when_a_qr_code_is_used(
    emulator: EmulatorProcess, new_client: NewClient, passkey: Any
) -> None:
    emulator.set_faults(Faults(passkey=passkey))
    client = new_client()
    code = client.wait_for("qr")["code"]
    if passkey == "link":
        emulator.scan(code, ACCOUNT)
    client.wait_for("login", status="passkey-request")
    assert emulator.connections(ACCOUNT) == []


def test_phone_asks_for_a_passkey_when_a_pairing_code_is_entered(
    emulator: EmulatorProcess, new_client: NewClient
) -> None:
    emulator.set_faults(Faults(passkey="link"))
    client = new_client()
    client.wait_for("qr")
    code = client.do("pair_phone", number=ACCOUNT)["code"]
    emulator.enter_code(ACCOUNT, code)
    client.wait_for("login", status="passkey-request")


def test_dropped_pairing_ends_with_a_timeout(
    emulator: EmulatorProcess, new_client: NewClient
) -> None:
    client = new_client()
    client.wait_for("qr")
    emulator.drop_pairings()
    client.wait_for("login", status="timeout")


def test_a_stranger_writes_first_and_is_answered(shared: SharedDevice) -> None:
    lid = shared.emulator.add_phone(shared.stranger)
    sent = shared.emulator.send_text(shared.stranger, shared.account, "السلام عليكم")
    got = shared.client.wait_for("Message", id=sent)
    assert (got["text"], got["number"], got["lid"]) == ("السلام عليكم", shared.stranger, lid)
    shared.client.do("send", to=shared.stranger, text="hello")
    (answer,) = shared.emulator.messages(shared.stranger)
    assert (answer.text, answer.kind) == ("hello", "msg")
    shared.client.wait_for(
        "Message", id=shared.emulator.send_text(shared.stranger, shared.account, "second")
    )


def test_number_check_finds_an_account_that_cannot_be_reached_under_this_number(
    emulator: EmulatorProcess, new_client: NewClient
) -> None:
    registered, alias = "556191234567", "5561991234567"
    lid = emulator.add_phone(registered, aliases=[alias])
    client = new_client()
    client.pair(ACCOUNT)
    checked = client.do("check", numbers=[alias])
    assert (checked["known"], checked["users"]) == ({alias: True}, [lid])
    assert "no LID found" in client.do("send", to=alias, text="lost")["error"]
    client.do("send", to=lid, server="lid", text="hello")
    assert [message.text for message in emulator.messages(registered)] == ["hello"]


def test_bot_tag_of_a_client_is_recorded(emulator: EmulatorProcess, new_client: NewClient) -> None:
    client = new_client(bot_tag="on")
    client.pair(ACCOUNT)
    client.do("send", to=FRIEND, text="x")
    (message,) = emulator.messages(FRIEND)
    assert message.bot_tag


def test_receipts_can_be_delayed(shared: SharedDevice) -> None:
    shared.emulator.set_receipts("delivered", delay=0.5)
    sent = shared.client.do("send", to=shared.friend, text="x")["id"]
    assert not [event for event in shared.client.events if event.get("ids") == [sent]]
    shared.client.wait_for("Receipt", ids=[sent], type="DELIVERED")


def test_message_can_be_delivered_twice(shared: SharedDevice) -> None:
    for text in ("first", "again"):
        shared.emulator.send_text(shared.friend, shared.account, text, message_id="3EB0AAAA")
        assert shared.client.wait_for("Message", id="3EB0AAAA", text=text)


def test_edit_names_the_edited_message(shared: SharedDevice) -> None:
    first = shared.emulator.send_text(shared.friend, shared.account, "helo")
    shared.client.wait_for("Message", id=first, edit=False)
    edit = shared.client.wait_for(
        "Message",
        id=shared.emulator.send_text(shared.friend, shared.account, "hello", edits=first),
        edit=True,
    )
    raw = bytes.fromhex(edit["raw"])
    assert first.encode() in raw
    assert b"hello" in raw


def test_killed_device_resumes_its_session_and_gets_missed_messages(
    emulator: EmulatorProcess, new_client: NewClient
) -> None:
    client = new_client()
    client.pair(ACCOUNT)
    sent = client.do("send", to=FRIEND, text="before")
    client.kill()
    emulator.wait_for(lambda: not emulator.is_connected(ACCOUNT), what="the device to be gone")
    missed = emulator.send_text(FRIEND, ACCOUNT, "while you were away")
    emulator.receipt(ACCOUNT, FRIEND, sent["id"])

    again = new_client(client.store)
    again.wait_for("Connected")
    again.wait_for("Message", id=missed, text="while you were away")
    again.wait_for("Receipt", ids=[sent["id"]], type="DELIVERED")
    again.do("send", to=FRIEND, text="after")
    assert [message.text for message in emulator.messages(FRIEND)] == ["before", "after"]
    assert not [event for event in again.events if event["event"] == "qr"]
    (device,) = emulator.connections(ACCOUNT)
    assert len(device.logins) == 2
    assert emulator.undecryptable() == []


@pytest.mark.parametrize("abrupt", [True, False])
def test_device_reconnects_after_being_cut_off(shared: SharedDevice, *, abrupt: bool) -> None:
    after = len(shared.client.events)
    shared.emulator.kick(shared.account, abrupt=abrupt)
    shared.client.wait_for("Disconnected", after=after)
    shared.client.wait_for("Connected", after=after)
    shared.client.do("send", to=shared.friend, text="still here")
    assert [message.text for message in shared.messages()] == ["still here"]


def test_phone_without_sessions_requests_a_retry_and_reads_the_message(
    shared: SharedDevice,
) -> None:
    shared.client.do("send", to=shared.friend, text="first")
    shared.client.wait_for(
        "Message", id=shared.emulator.send_text(shared.friend, shared.account, "an answer")
    )
    shared.emulator.forget_sessions(shared.friend)
    sent = shared.client.do("send", to=shared.friend, text="second")["id"]
    shared.emulator.wait_for(lambda: shared.messages()[1:], what="the message sent again")
    (_, message) = shared.messages()
    assert (message.message_id, message.text, message.kind) == (sent, "second", "pkmsg")
    assert shared.emulator.undecryptable()[-1:] == [sent]


def test_devices_of_one_account_are_distinct_and_see_each_others_messages(
    emulator: EmulatorProcess, new_client: NewClient
) -> None:
    first, second = new_client(), new_client()
    first.pair(ACCOUNT)
    second.pair(ACCOUNT)
    devices = emulator.connections(ACCOUNT)
    assert [device.connected for device in devices] == [True, True]
    second.do("send", to=FRIEND, text="from the second")
    first.wait_for("Message", text="from the second", from_me=True)
    got = emulator.send_text(FRIEND, ACCOUNT, "to both")
    first.wait_for("Message", id=got)
    second.wait_for("Message", id=got)


def test_two_accounts_write_to_each_other_through_their_linked_devices(
    emulator: EmulatorProcess, new_client: NewClient
) -> None:
    first, second = new_client(), new_client()
    first.pair(ACCOUNT)
    second.pair(FRIEND)
    first.do("send", to=FRIEND, text="ping")
    second.wait_for("Message", text="ping", number=ACCOUNT, from_me=False)
    second.do("send", to=ACCOUNT, text="pong")
    first.wait_for("Message", text="pong", number=FRIEND, from_me=False)
    assert [message.text for message in emulator.messages()] == ["ping", "pong"]


def test_unlinked_device_must_be_paired_again(
    emulator: EmulatorProcess, new_client: NewClient
) -> None:
    client = new_client()
    client.pair(ACCOUNT)
    client.kill()
    emulator.unlink(ACCOUNT)
    assert emulator.connections(ACCOUNT) == []
    again = new_client(client.store)
    again.wait_for("LoggedOut", on_connect=True)
