"""Each fault of the emulator, as the real client library sees it."""

from collections.abc import Callable
from typing import Any

import pytest

from waemu.client import EmulatorProcess
from waemu.faults import Faults

ACCOUNT = "15550001111"
FRIEND = "15552223333"
STRANGER = "15554445555"

NewClient = Callable[..., Any]


@pytest.fixture
def client(new_client: NewClient) -> Any:
    """A linked device of ACCOUNT, connected."""
    client = new_client()
    client.pair(ACCOUNT)
    return client


@pytest.mark.parametrize("down", [Faults(upgrade_status=503), Faults(refuse_connections=True)])
def test_client_redials_a_server_until_it_is_back(
    emulator: EmulatorProcess, client: Any, down: Faults
) -> None:
    emulator.set_faults(down)
    emulator.kick(ACCOUNT)
    client.wait_for("Disconnected")
    assert "not connected" in client.do("send", to=FRIEND, text="x")["error"]
    if down.upgrade_status:
        emulator.wait_for(lambda: any(dial.status == 503 for dial in emulator.dials()))
    after = len(client.events)
    emulator.reset_faults()
    client.wait_for("Connected", after=after)


@pytest.mark.parametrize("down", [Faults(upgrade_status=503), Faults(refuse_connections=True)])
def test_a_server_that_is_down_fails_the_first_connect(
    emulator: EmulatorProcess, new_client: NewClient, down: Faults
) -> None:
    emulator.set_faults(down)
    assert new_client().wait_for("failed")["error"]


def test_a_removed_device_is_logged_out(emulator: EmulatorProcess, client: Any) -> None:
    dials = len(emulator.dials())
    emulator.unlink(ACCOUNT)
    client.wait_for("LoggedOut", on_connect=False)
    emulator.wait_for(lambda: emulator.stats().connections == 0)
    assert len(emulator.dials()) == dials


@pytest.mark.parametrize(
    ("code", "conflict", "event"),
    [
        ("401", "device_removed", "LoggedOut"),
        ("401", None, "StreamError"),
        (None, "replaced", "StreamReplaced"),
        ("503", None, "Disconnected"),
    ],
)
def test_stream_error_is_reported(
    emulator: EmulatorProcess, client: Any, code: str | None, conflict: str | None, event: str
) -> None:
    after = len(client.events)
    emulator.stream_error(ACCOUNT, code=code, conflict=conflict)
    client.wait_for(event, after=after)
    if event in ("StreamError", "Disconnected"):
        client.wait_for("Connected", after=after)


def test_second_connection_of_a_device_replaces_the_first(
    client: Any, new_client: NewClient
) -> None:
    again = new_client(client.store)
    again.wait_for("Connected")
    client.wait_for("StreamReplaced")


@pytest.mark.parametrize(
    ("failure", "event", "details"),
    [
        ({"reason": "401", "location": "rva"}, "LoggedOut", {"reason": "LOGGED_OUT"}),
        ({"reason": "403"}, "LoggedOut", {"reason": "MAIN_DEVICE_GONE"}),
        ({"reason": "406"}, "LoggedOut", {"reason": "UNKNOWN_LOGOUT"}),
        ({"reason": "402", "code": "101", "expire": "3600"}, "TemporaryBan", {}),
        ({"reason": "405"}, "ClientOutdated", {}),
        ({"reason": "400"}, "ConnectFailure", {}),
        ({"reason": "409"}, "ConnectFailure", {}),
        ({"reason": "500"}, "Disconnected", {}),
        ({"reason": "503"}, "Disconnected", {}),
    ],
)
def test_failed_login_is_reported(
    emulator: EmulatorProcess,
    client: Any,
    failure: dict[str, str],
    event: str,
    details: dict[str, str],
) -> None:
    emulator.set_faults(Faults(connect_failure=failure, connect_failure_for=[ACCOUNT]))
    after = len(client.events)
    emulator.kick(ACCOUNT)
    client.wait_for(event, after=after, **details)


def test_failure_for_another_account_has_no_effect(emulator: EmulatorProcess, client: Any) -> None:
    failure = Faults(connect_failure={"reason": "403"}, connect_failure_for=["+" + FRIEND])
    emulator.set_faults(failure)
    after = len(client.events)
    emulator.kick(ACCOUNT)
    client.wait_for("Connected", after=after)


def test_a_refused_message_fails_at_once_and_is_not_delivered(
    emulator: EmulatorProcess, client: Any
) -> None:
    for error in ("463", "479", "400", "420", "429"):
        emulator.set_faults(Faults(ack_error=error))
        assert f"error {error}" in client.do("send", to=FRIEND, text="refused")["error"]
    emulator.reset_faults()
    client.do("send", to=FRIEND, text="accepted")
    assert [message.text for message in emulator.messages()] == ["accepted"]


def test_refusals_can_be_limited_by_recipient_and_count(
    emulator: EmulatorProcess, client: Any
) -> None:
    emulator.set_faults(Faults(ack_error="463", ack_error_for=["+" + FRIEND], ack_error_count=2))
    assert "id" in client.do("send", to=STRANGER, text="to another")
    assert "error" in client.do("send", to=FRIEND, text="1")
    assert "error" in client.do("send", to=FRIEND, text="2")
    assert emulator.faults().ack_error_count == 0
    assert "id" in client.do("send", to=FRIEND, text="3")
    assert [message.text for message in emulator.messages()] == ["to another", "3"]


def test_unacknowledged_message_is_resent_after_a_reconnect_and_read_once(
    emulator: EmulatorProcess, client: Any
) -> None:
    emulator.set_faults(Faults(ack_drop=True, ack_drop_for=[FRIEND]))
    client.start("send", to=FRIEND, text="only once")
    emulator.wait_for(emulator.messages)
    emulator.reset_faults()
    emulator.kick(ACCOUNT)
    sent = client.wait_for("done", command="send")["id"]
    assert [message.message_id for message in emulator.messages()] == [sent]
    assert emulator.duplicates() == [sent]


def test_acknowledgement_can_be_delayed(emulator: EmulatorProcess, client: Any) -> None:
    emulator.set_faults(Faults(ack_delay=0.5))
    client.start("send", to=FRIEND, text="slow")
    emulator.wait_for(emulator.messages)
    assert not [event for event in client.events if event["event"] == "done"]
    client.wait_for("done", command="send")


def test_number_check_distinguishes_unregistered_numbers(
    emulator: EmulatorProcess, client: Any
) -> None:
    emulator.set_faults(Faults(unregistered=["+" + STRANGER]))
    known = client.do("check", numbers=["+" + FRIEND, "+" + STRANGER, "+19998887777"])["known"]
    assert known == {"+" + FRIEND: True, "+" + STRANGER: False, "+19998887777": False}
    assert "no LID found" in client.do("send", to="19998887777", text="x")["error"]


def test_query_can_be_answered_with_an_error(emulator: EmulatorProcess, client: Any) -> None:
    emulator.set_faults(Faults(iq_errors={"usync": "429 rate-overlimit"}))
    answer = client.do("check", numbers=["+" + FRIEND])
    assert "429: rate-overlimit" in answer["error"]


def test_query_can_stay_unanswered(emulator: EmulatorProcess, client: Any) -> None:
    emulator.set_faults(Faults(iq_mute=["usync"]))
    client.start("check", numbers=["+" + FRIEND])
    emulator.wait_for(lambda: emulator.stats().stanzas.get("iq usync get"))
    emulator.reset_faults()
    assert not [event for event in client.events if event.get("command") == "check"]
    emulator.kick(ACCOUNT)  # the library asks again on its next connection
    assert client.wait_for("done", command="check")["known"] == {"+" + FRIEND: True}


def test_message_without_the_recipients_keys_is_accepted_but_not_received(
    emulator: EmulatorProcess, client: Any
) -> None:
    emulator.set_receipts("delivered")
    emulator.set_faults(Faults(iq_errors={"encrypt": "406 not-acceptable"}))
    lost = client.do("send", to=FRIEND, text="into the void")["id"]
    assert emulator.messages() == []
    emulator.reset_faults()
    heard = client.do("send", to=STRANGER, text="x")["id"]
    client.wait_for("Receipt", ids=[heard], type="DELIVERED")
    assert not [event for event in client.events if event.get("ids") == [lost]]


def test_switched_off_phone_sends_no_receipt(emulator: EmulatorProcess, client: Any) -> None:
    emulator.set_receipts("delivered")
    emulator.set_faults(Faults(receipts_withheld=["+" + STRANGER]))
    silent = client.do("send", to=STRANGER, text="x")["id"]
    heard = client.do("send", to=FRIEND, text="x")["id"]
    client.wait_for("Receipt", ids=[heard], type="DELIVERED")
    assert not [event for event in client.events if event.get("ids") == [silent]]
