"""Each fault of the emulator, as the real client library sees it."""

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


@pytest.fixture
def client(new_client: NewClient) -> Any:
    """A linked device of ACCOUNT, connected."""
    client = new_client()
    client.pair(ACCOUNT)
    return client


@pytest.mark.parametrize("down", [Faults(upgrade_status=503), Faults(refuse_connections=True)])
def test_client_redials_a_server_until_it_is_back(shared: SharedDevice, down: Faults) -> None:
    shared.emulator.set_faults(down)
    shared.emulator.kick(shared.account)
    shared.client.wait_for("Disconnected")
    assert "not connected" in shared.client.do("send", to=shared.friend, text="x")["error"]
    if down.upgrade_status:
        shared.emulator.wait_for(
            lambda: any(dial.status == 503 for dial in shared.emulator.dials())
        )
    after = len(shared.client.events)
    shared.emulator.reset_faults()
    shared.client.wait_for("Connected", after=after)


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
    [("401", "device_removed", "LoggedOut"), (None, "replaced", "StreamReplaced")],
)
def test_stream_error_that_ends_the_connection_is_reported(
    emulator: EmulatorProcess, client: Any, code: str | None, conflict: str, event: str
) -> None:
    after = len(client.events)
    emulator.stream_error(ACCOUNT, code=code, conflict=conflict)
    client.wait_for(event, after=after)


@pytest.mark.parametrize(("code", "event"), [("401", "StreamError"), ("503", "Disconnected")])
def test_client_reconnects_after_another_stream_error(
    shared: SharedDevice, code: str, event: str
) -> None:
    shared.emulator.stream_error(shared.account, code=code, conflict=None)
    shared.client.wait_for(event)
    shared.client.wait_for("Connected")


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


def test_failure_for_another_account_has_no_effect(shared: SharedDevice) -> None:
    failure = Faults(connect_failure={"reason": "403"}, connect_failure_for=["+" + shared.friend])
    shared.emulator.set_faults(failure)
    after = len(shared.client.events)
    shared.emulator.kick(shared.account)
    shared.client.wait_for("Connected", after=after)


def test_a_refused_message_fails_at_once_and_is_not_delivered(shared: SharedDevice) -> None:
    for error in ("463", "479", "400", "420", "429"):
        shared.emulator.set_faults(Faults(ack_error=error))
        assert (
            f"error {error}" in shared.client.do("send", to=shared.friend, text="refused")["error"]
        )
    shared.emulator.reset_faults()
    shared.client.do("send", to=shared.friend, text="accepted")
    assert [message.text for message in shared.messages()] == ["accepted"]


def test_refusals_can_be_limited_by_recipient_and_count(shared: SharedDevice) -> None:
    shared.emulator.set_faults(
        Faults(ack_error="463", ack_error_for=["+" + shared.friend], ack_error_count=2)
    )
    assert "id" in shared.client.do("send", to=shared.stranger, text="to another")
    assert "error" in shared.client.do("send", to=shared.friend, text="1")
    assert "error" in shared.client.do("send", to=shared.friend, text="2")
    assert shared.emulator.faults().ack_error_count == 0
    assert "id" in shared.client.do("send", to=shared.friend, text="3")
    assert [message.text for message in shared.messages()] == ["to another", "3"]


def test_unacknowledged_message_is_resent_after_a_reconnect_and_read_once(
    shared: SharedDevice,
) -> None:
    shared.emulator.set_faults(Faults(ack_drop=True, ack_drop_for=[shared.friend]))
    shared.client.start("send", to=shared.friend, text="only once")
    shared.emulator.wait_for(shared.messages)
    shared.emulator.reset_faults()
    shared.emulator.kick(shared.account)
    sent = shared.client.wait_for("done", command="send")["id"]
    assert [message.message_id for message in shared.messages()] == [sent]
    assert shared.emulator.duplicates()[-1:] == [sent]


def test_acknowledgement_can_be_delayed(shared: SharedDevice) -> None:
    shared.emulator.set_faults(Faults(ack_delay=0.5))
    shared.client.start("send", to=shared.friend, text="slow")
    shared.emulator.wait_for(shared.messages)
    assert not [event for event in shared.client.events if event["event"] == "done"]
    shared.client.wait_for("done", command="send")


def test_number_check_distinguishes_unregistered_numbers(shared: SharedDevice) -> None:
    shared.emulator.set_faults(Faults(unregistered=["+" + shared.stranger]))
    known = shared.client.do(
        "check", numbers=["+" + shared.friend, "+" + shared.stranger, "+19998887777"]
    )["known"]
    assert known == {"+" + shared.friend: True, "+" + shared.stranger: False, "+19998887777": False}
    assert "no LID found" in shared.client.do("send", to="19998887777", text="x")["error"]


def test_query_can_be_answered_with_an_error(shared: SharedDevice) -> None:
    shared.emulator.set_faults(Faults(iq_errors={"usync": "429 rate-overlimit"}))
    answer = shared.client.do("check", numbers=["+" + shared.friend])
    assert "429: rate-overlimit" in answer["error"]


def test_query_can_stay_unanswered(shared: SharedDevice) -> None:
    shared.emulator.set_faults(Faults(iq_mute=["usync"]))
    before = shared.emulator.stats().stanzas.get("iq usync get", 0)
    shared.client.start("check", numbers=["+" + shared.friend])
    shared.emulator.wait_for(
        lambda: shared.emulator.stats().stanzas.get("iq usync get", 0) > before
    )
    shared.emulator.reset_faults()
    assert not [event for event in shared.client.events if event.get("command") == "check"]
    shared.emulator.kick(shared.account)  # the library asks again on its next connection
    assert shared.client.wait_for("done", command="check")["known"] == {"+" + shared.friend: True}


def test_message_without_the_recipients_keys_is_accepted_but_not_received(
    shared: SharedDevice,
) -> None:
    shared.emulator.set_receipts("delivered")
    shared.emulator.set_faults(Faults(iq_errors={"encrypt": "406 not-acceptable"}))
    lost = shared.client.do("send", to=shared.friend, text="into the void")["id"]
    assert shared.messages() == []
    shared.emulator.reset_faults()
    heard = shared.client.do("send", to=shared.stranger, text="x")["id"]
    shared.client.wait_for("Receipt", ids=[heard], type="DELIVERED")
    assert not [event for event in shared.client.events if event.get("ids") == [lost]]


def test_switched_off_phone_sends_no_receipt(shared: SharedDevice) -> None:
    shared.emulator.set_receipts("delivered")
    shared.emulator.set_faults(Faults(receipts_withheld=["+" + shared.stranger]))
    silent = shared.client.do("send", to=shared.stranger, text="x")["id"]
    heard = shared.client.do("send", to=shared.friend, text="x")["id"]
    shared.client.wait_for("Receipt", ids=[heard], type="DELIVERED")
    assert not [event for event in shared.client.events if event.get("ids") == [silent]]
