"""The emulator's reaction to clients that break or stretch the protocol."""

from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from waemu import protobuf
from waemu.binary import SERVER, Jid, Node
from waemu.client import EmulatorProcess
from waemu.curve import KeyPair
from waemu.faults import Faults

ACCOUNT = "15550001111"

RawClient = Callable[..., Any]

REGISTRATION = protobuf.encode({19: protobuf.encode({3: KeyPair().public})})
LOGIN = protobuf.encode({1: int(ACCOUNT), 18: 1})


def _assert_closed(emulator: EmulatorProcess, client: Any) -> None:
    """Assert that only this client is cut off and the error counted."""
    client.wait_closed()
    emulator.wait_for(lambda: emulator.stats().connections == 0)
    assert emulator.stats().client_errors == 1


def test_a_client_that_registers_gets_references_for_six_codes(raw_client: RawClient) -> None:
    client = raw_client()
    client.shake_hands(REGISTRATION)
    offer = client.receive()
    assert (offer.tag, offer.text("type"), offer.text("xmlns")) == ("iq", "set", "md")
    assert len({ref.data for ref in offer.need("pair-device").all("ref")}) == 6


def test_unlinked_device_is_logged_out(raw_client: RawClient) -> None:
    client = raw_client()
    client.shake_hands(LOGIN)
    failure = client.receive()
    assert (failure.tag, failure.text("reason")) == ("failure", "401")


def test_connect_failure_applies_to_unpaired_clients(
    emulator: EmulatorProcess, raw_client: RawClient
) -> None:
    emulator.set_faults(Faults(connect_failure={"reason": "405"}))
    client = raw_client()
    client.shake_hands(REGISTRATION)
    assert client.receive() == Node("failure", {"reason": "405"})


def test_unknown_query_gets_an_empty_result_and_a_muted_one_none(
    emulator: EmulatorProcess, raw_client: RawClient
) -> None:
    client = raw_client()
    client.shake_hands(REGISTRATION)
    client.receive()
    ping: dict[str, str | Jid] = {"to": SERVER, "xmlns": "w:p", "type": "get"}
    client.send(Node("iq", ping | {"id": "1"}))
    assert client.receive() == Node("iq", {"from": SERVER, "id": "1", "type": "result"})
    emulator.set_faults(Faults(iq_mute=["w:p"]))
    client.send(Node("iq", ping | {"id": "2"}))
    emulator.wait_for(lambda: emulator.stats().stanzas.get("iq w:p get") == 2)
    emulator.reset_faults()
    client.send(Node("iq", ping | {"id": "3"}))
    assert client.receive().text("id") == "3"


def test_frames_may_be_split_and_joined_anywhere(raw_client: RawClient) -> None:
    client = raw_client()
    client.shake_hands(REGISTRATION)
    client.receive()
    sent: list[bytes] = []
    client.send_frame = sent.append
    for number in range(3):
        client.send(Node("iq", {"id": str(number), "xmlns": "w:p", "type": "get"}))
    stream = b"".join(len(frame).to_bytes(3, "big") + frame for frame in sent)
    for start in range(0, len(stream), 5):
        client.websocket.send(stream[start : start + 5])
    assert [client.receive().text("id") for _ in sent] == ["0", "1", "2"]


def test_unknown_header_is_refused(emulator: EmulatorProcess, raw_client: RawClient) -> None:
    client = raw_client(header=b"XX\x06\x03")
    with pytest.raises(ConnectionClosed):
        client.shake_hands(REGISTRATION)
    emulator.wait_for(lambda: emulator.stats().connections == 0)
    assert emulator.stats().client_errors == 1


def test_undecryptable_frame_ends_only_its_connection(
    emulator: EmulatorProcess, raw_client: RawClient
) -> None:
    good, bad = raw_client(), raw_client()
    for client in (good, bad):
        client.shake_hands(REGISTRATION)
        client.receive()
    bad.send_frame(bytes(40))
    bad.wait_closed()
    assert emulator.stats().client_errors == 1
    good.send(Node("iq", {"id": "1", "xmlns": "w:p", "type": "get"}))
    assert good.receive().text("id") == "1"


def test_a_text_message_ends_the_connection(
    emulator: EmulatorProcess, raw_client: RawClient
) -> None:
    client = raw_client()
    client.shake_hands(REGISTRATION)
    client.websocket.send("hello")
    _assert_closed(emulator, client)


@pytest.mark.parametrize(
    "stanza",
    [
        Node("message", {"id": "1", "to": Jid("15552223333")}),
        Node("iq", {"id": "1", "xmlns": "usync", "type": "get"}),
        Node("iq", {"id": "1", "xmlns": "encrypt", "type": "get"}, [Node("count")]),
        Node("iq", {"id": "1", "xmlns": "md", "type": "set"}, [Node("remove-companion-device")]),
        Node(
            "iq",
            {"id": "1", "xmlns": "md", "type": "set"},
            [Node("link_code_companion_reg", {"stage": "companion_finish"})],
        ),
        Node("iq", {"id": "pair-success", "type": "result"}),
    ],
)
def test_misplaced_stanza_ends_the_connection_or_fails_the_pairing(
    emulator: EmulatorProcess, raw_client: RawClient, stanza: Node
) -> None:
    client = raw_client()
    client.shake_hands(REGISTRATION)
    client.receive()
    client.send(stanza)
    if stanza.text("id") == "pair-success":
        assert emulator.wait_for(emulator.pairing_failures)
    else:
        _assert_closed(emulator, client)


def test_a_login_without_a_user_or_a_registration_ends_the_connection(
    emulator: EmulatorProcess, raw_client: RawClient
) -> None:
    client = raw_client()
    client.shake_hands(b"")
    _assert_closed(emulator, client)
