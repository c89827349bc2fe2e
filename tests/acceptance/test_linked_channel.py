"""A code's path over HTTP, queue, client library and emulated WhatsApp.

All processes are real; `linked_sender.py` shortens waits of minutes. Each row of the table in
`docs/linked-channel.md` has a test here with its name.
"""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, make_url, select

from hudhud.channels.base import Account
from hudhud.core.clock import now_ms
from hudhud.core.phones import mask_phone
from hudhud.db.tables import messages
from hudhud.messages import contacts
from support.linked import FORMER_NUMBERS, IMPATIENT, PLAIN, LinkedService, new_number
from support.services import API_KEY, HTTP
from waemu.client import EmulatorProcess
from waemu.faults import Faults


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """One emulated WhatsApp for all tests of this module."""
    folder = tmp_path_factory.mktemp("emulator")
    with EmulatorProcess(folder, log=folder / "emulator.log") as running:
        yield running


@pytest.fixture
def fresh(emulator: EmulatorProcess, tmp_path: Path) -> Iterator[LinkedService]:
    """A service with production waits, neither linked nor started."""
    emulator.reset_faults()
    emulator.set_receipts("delivered+read")
    service = LinkedService(tmp_path / "service", emulator, PLAIN)
    yield service
    service.clean_up()


@pytest.fixture(scope="module")
def linked_service(
    emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LinkedService]:
    """The service for most faults, shared because linking is slow."""
    folder = tmp_path_factory.mktemp("linked")
    service = LinkedService(folder, emulator, IMPATIENT, account="+5215587654321")
    service.start()
    yield service
    service.clean_up()


@pytest.fixture
def linked(linked_service: LinkedService) -> Iterator[LinkedService]:
    """The shared service, linked and connected."""
    linked_service.make_ready()
    yield linked_service
    linked_service.emulator.reset_faults()
    assert_times_in_order(linked_service)


@pytest.fixture(scope="module")
def unlinked_service(
    emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LinkedService]:
    """A service whose links always fail."""
    service = LinkedService(tmp_path_factory.mktemp("unlinked"), emulator, IMPATIENT)
    service.start()
    yield service
    service.clean_up()


@pytest.fixture
def unlinked(unlinked_service: LinkedService) -> Iterator[LinkedService]:
    """The service whose links fail, without a QR code yet."""
    unlinked_service.emulator.reset_faults()
    yield unlinked_service
    unlinked_service.emulator.reset_faults()


def assert_times_in_order(service: LinkedService) -> None:
    """Assert that no step of any job is dated before an earlier one."""
    columns = ("created_at", "sending_at", "sent_at", "delivered_at", "read_at")
    with service.database.read() as connection:
        rows = connection.execute(select(*(messages.c[name] for name in columns))).all()
    for row in rows:
        times = [at for at in row if at is not None]
        assert times == sorted(times)


def send_to_refused_strangers(service: LinkedService) -> list[int]:
    """Request codes for as many strangers as restrict the account; return the jobs."""
    strangers = [service.add_phone() for _ in range(3)]
    numbers = [phone.removeprefix("+") for phone in strangers]
    service.emulator.set_faults(Faults(ack_error="463", ack_error_for=numbers))
    return [service.send(phone)["jobId"] for phone in strangers]


def assert_sends(service: LinkedService) -> None:
    """Assert that a code still reaches the phone."""
    phone = service.add_phone()
    job = service.send(phone)["jobId"]
    service.wait_for_delivery(job, "read")


# Path of a code


def test_code_is_read_on_the_phone_after_linking_by_qr(fresh: LinkedService) -> None:
    # The receipts' times, in whole seconds, are then before the send.
    fresh.emulator.set_receipts("delivered+read", delay=1.6)
    fresh.start()
    fresh.link()
    assert fresh.sender().phone == fresh.account
    phone = fresh.add_phone()
    accepted = fresh.send(phone)
    job = fresh.wait_for_delivery(accepted["jobId"], "read")
    [message] = fresh.received(phone)
    assert message.text == fresh.body(accepted["jobId"]).replace("{code}", accepted["otp"])
    assert not message.bot_tag
    assert message.from_number == fresh.account.removeprefix("+")
    assert job["created_at"] < job["sent_at"] < job["delivered_at"] <= job["read_at"]
    assert_keeps_secrets(fresh, code=accepted["otp"], phone=phone)


def assert_keeps_secrets(service: LinkedService, *, code: str, phone: str) -> None:
    session = service.service.folder / "data" / "session"
    assert stat.S_IMODE(session.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in session.iterdir()} == {0o600}
    printed = service.service.output.read_text()
    assert "linked_devices#" not in printed
    assert phone not in printed
    assert mask_phone(phone) in printed
    assert f"{code} " not in printed


def test_restart_continues_with_the_stored_session(fresh: LinkedService) -> None:
    fresh.start()
    fresh.link()
    device = fresh.sender().device
    assert fresh.service.stop() == 0
    start = fresh.now()
    fresh.start()
    fresh.wait_for_state("connected", since=start)
    assert "pairing" not in {state["state"] for state in fresh.states(start)}
    assert fresh.sender().device == device
    assert_sends(fresh)


def test_killed_sender_continues_with_its_session(linked: LinkedService) -> None:
    start = linked.now()
    linked.service.wait_for_sender().kill()
    linked.wait_for_state("connected", since=start)
    assert_sends(linked)


def test_code_is_read_on_the_phone_after_linking_by_pairing_code(fresh: LinkedService) -> None:
    fresh.start()
    refused = fresh.command("pair_phone", new_number())
    assert refused.status == "failed"
    assert refused.sentence is not None
    assert "gives no code" in refused.sentence.english()
    result = fresh.command("pair_phone", fresh.account)
    assert result.status == "done", result
    assert result.pair_code is not None
    fresh.wait(lambda: fresh.sender().pair_code == result.pair_code, "the code to be shown")
    fresh.emulator.enter_code(fresh.account, result.pair_code)
    fresh.wait_for_state("connected")
    assert fresh.sender().pair_code is None
    assert_sends(fresh)
    again = fresh.command("pair_phone", fresh.account)
    assert again.status == "failed"
    assert again.sentence is not None
    assert "linked already" in again.sentence.english()


def test_postgresql_holds_the_session_and_the_queue(
    emulator: EmulatorProcess, tmp_path: Path, postgres_url: str
) -> None:
    service = LinkedService(
        tmp_path / "service",
        emulator,
        IMPATIENT,
        DATABASE_URL=postgres_url,
        SESSION_SECRET="a secret that is long enough",
    )
    try:
        emulator.set_receipts("delivered+read")
        service.start()
        service.link()
        assert_sends(service)
        start = service.now()
        service.service.wait_for_sender().kill()
        service.wait_for_state("connected", since=start)
        assert_sends(service)
        assert service.command("logout").status == "done"
        service.wait_for_qr()
        assert not (service.service.folder / "data" / "session").exists()
        assert_only_own_schema_has_session_tables(postgres_url)
    finally:
        service.clean_up()


def assert_only_own_schema_has_session_tables(url: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    tables = {
        schema: inspect(engine).get_table_names(schema) for schema in (None, "hudhud_sessions")
    }
    engine.dispose()
    assert not [name for name in tables[None] if name.startswith("whatsmeow")]
    assert "whatsmeow_device" in tables["hudhud_sessions"]


# Connection


@pytest.mark.parametrize("abrupt", [True, False], ids=["killed", "closed"])
def test_dropped_socket(linked: LinkedService, *, abrupt: bool) -> None:
    start = linked.now()
    linked.emulator.kick(linked.account, abrupt=abrupt)
    assert "lost" in linked.wait_for_state("reconnecting", since=start)
    linked.wait_for_state("connected", since=start)
    assert_sends(linked)


def test_dropped_by_stream_error_503(linked: LinkedService) -> None:
    start = linked.now()
    linked.emulator.stream_error(linked.account, code="503")
    assert "lost" in linked.wait_for_state("reconnecting", since=start)
    linked.wait_for_state("connected", since=start)


@pytest.mark.parametrize("reason", ["500", "503"])
def test_dropped_at_the_login(linked: LinkedService, reason: str) -> None:
    start = linked.now()
    linked.emulator.set_faults(Faults(connect_failure={"reason": reason}))
    linked.emulator.kick(linked.account)
    linked.wait(lambda: linked.sender().failed_reconnects > 0, "a failed reconnect")
    assert linked.sender().state == "reconnecting"
    linked.emulator.reset_faults()
    linked.wait_for_state("connected", since=start)


@pytest.mark.parametrize("code", ["401", "516"])
def test_stream_error_of_another_kind(linked: LinkedService, code: str) -> None:
    start = linked.now()
    linked.emulator.stream_error(linked.account, code=code)
    assert f"error {code}" in linked.wait_for_state("reconnecting", since=start)
    linked.wait_for_state("connected", since=start)


def test_unreachable_server_is_retried_repeatedly(linked: LinkedService) -> None:
    linked.emulator.set_faults(Faults(upgrade_status=503))
    start = linked.now()
    linked.emulator.kick(linked.account)
    phone = linked.add_phone()
    job = linked.send(phone)["jobId"]
    linked.wait(lambda: linked.sender().failed_reconnects >= 3, "three failed reconnects")
    assert "cannot be reached" in linked.sender().detail
    assert linked.job(job)["delivery"] == "queued"
    linked.emulator.reset_faults()
    linked.wait_for_state("connected", since=start)
    assert linked.sender().failed_reconnects == 0
    assert linked.wait_for_delivery(job, "read")["attempts"] == 1


def test_unreachable_server_at_the_first_connect(linked: LinkedService) -> None:
    linked.emulator.set_faults(Faults(refuse_connections=True))
    start = linked.now()
    linked.service.wait_for_sender().kill()
    assert "proxy: connection refused" in linked.wait_for_state("reconnecting", since=start)
    linked.wait(lambda: linked.sender().failed_reconnects >= 2, "two failed reconnects")
    linked.emulator.reset_faults()
    linked.wait_for_state("connected", since=start)


@pytest.mark.chaos
def test_silent_server_is_disconnected_after_one_unanswered_keepalive(
    linked: LinkedService,
) -> None:
    """The library pings every 20 to 30 s, waits 10 s, and would itself give up after 217 s."""
    start = linked.now()
    linked.emulator.set_faults(Faults(iq_mute=["w:p"]))
    assert "stopped answering" in linked.wait_for_state("reconnecting", since=start)
    linked.wait_for_state("connected", since=start)


@pytest.mark.parametrize("reason", ["400", "409", "418"])
def test_refused_by_connect_failure(linked: LinkedService, reason: str) -> None:
    """418 is unknown to the library and breaks its call, so that the number is not known."""
    linked.emulator.set_faults(Faults(connect_failure={"reason": reason}))
    start = linked.now()
    linked.emulator.kick(linked.account)
    known = reason != "418"
    linked.wait_for_detail(f"(error {reason})" if known else "unknown reason")
    linked.wait(lambda: linked.sender().failed_reconnects >= 2, "two failed reconnects")
    linked.emulator.reset_faults()
    linked.wait_for_state("connected", since=start)


def test_broken_by_a_receipt_without_a_name(linked: LinkedService) -> None:
    """The library stops receiving after an unknown kind of receipt."""
    phone = linked.add_phone()
    linked.wait_for_delivery(linked.send(phone)["jobId"], "read")
    [message] = linked.received(phone)
    start = linked.now()
    linked.emulator.receipt(linked.account, phone, message.message_id, "server-error")
    assert "library stopped" in linked.wait_for_state("reconnecting", since=start)
    linked.wait_for_state("connected", since=start)
    assert_sends(linked)


# Account


@pytest.mark.parametrize("how", ["device_removed", "401", "403", "406"])
def test_logged_out_requires_a_new_link(linked: LinkedService, how: str) -> None:
    """device_removed and 401: logged_out; 403: main_device_gone; 406: unknown_logout."""
    device = linked.sender().device
    start = linked.now()
    if how == "device_removed":
        linked.emulator.unlink(linked.account)
    else:
        linked.emulator.set_faults(Faults(connect_failure={"reason": how, "location": "rva"}))
        linked.emulator.kick(linked.account)
    sentence = linked.wait_for_state("logged_out", since=start)
    words = {"403": "another phone", "406": "banned"}
    assert words.get(how, "logged this device out") in sentence
    linked.emulator.reset_faults()
    linked.link()
    assert linked.sender().device != device
    assert_sends(linked)


def test_session_gone_requires_a_new_link(linked: LinkedService) -> None:
    start = linked.now()
    (linked.service.folder / "data" / "session" / "main.db").unlink()
    linked.reload()
    assert "gone from this machine" in linked.wait_for_state("logged_out", since=start)
    linked.link()
    assert_sends(linked)


def test_session_unusable_is_retried(linked: LinkedService) -> None:
    folder = linked.service.folder / "data" / "session"
    start = linked.now()
    folder.rename(folder.with_name("aside"))
    folder.touch()
    linked.reload()
    assert "cannot be opened" in linked.wait_for_state("reconnecting", since=start)
    folder.unlink()
    folder.with_name("aside").rename(folder)
    linked.wait_for_state("connected", since=start)


def test_operator_logout_unlinks_the_device(linked: LinkedService) -> None:
    device = linked.sender().device
    assert device in linked.devices_on_the_phone()
    start = linked.now()
    assert linked.command("logout").status == "done"
    assert "operator" in linked.wait_for_state("logged_out", since=start)
    assert device not in linked.devices_on_the_phone()
    linked.link()
    assert linked.sender().device != device


def test_operator_logout_during_the_start_unlinks_the_device(linked: LinkedService) -> None:
    device = linked.sender().device
    start = linked.now()
    linked.command("reload")
    assert linked.command("logout").status == "done"
    assert "operator" in linked.wait_for_state("logged_out", since=start)
    assert device not in linked.devices_on_the_phone()
    linked.link()


def test_operator_logout_without_a_connection_says_what_remains(linked: LinkedService) -> None:
    device = linked.sender().device
    start = linked.now()
    linked.emulator.set_faults(Faults(upgrade_status=503))
    linked.emulator.kick(linked.account)
    linked.wait(lambda: linked.sender().failed_reconnects > 0, "a failed reconnect")
    result = linked.command("logout")
    assert result.status == "failed"
    assert result.sentence is not None
    assert "remove this device on the phone" in result.sentence.english()
    linked.emulator.reset_faults()
    assert "operator" in linked.wait_for_state("logged_out", since=start)
    linked.link()
    assert device in linked.devices_on_the_phone()


def test_replaced_reconnects_only_after_a_pause(linked: LinkedService) -> None:
    """The pause is 15 minutes in production, 2 s here."""
    start = linked.now()
    linked.emulator.stream_error(linked.account, conflict="replaced")
    assert "Another program" in linked.wait_for_state("replaced", since=start)
    linked.wait_for_state("connected", since=start)
    assert [state["state"] for state in linked.states(start)] == ["replaced", "connected"]


def test_temporary_ban_ends_by_itself(linked: LinkedService) -> None:
    linked.emulator.set_faults(
        Faults(connect_failure={"reason": "402", "code": "101", "expire": "4"})
    )
    start = linked.now()
    linked.emulator.kick(linked.account)
    assert "strangers" in linked.wait_for_state("restricted", since=start)
    until = linked.sender().until
    dials = len(linked.emulator.dials())
    linked.emulator.reset_faults()
    linked.wait_for_state("connected", since=start)
    [dial] = linked.emulator.dials()[dials:]
    assert dial.at * 1000 >= until


def test_temporary_ban_for_an_unknown_reason(linked: LinkedService) -> None:
    """The library's call fails without an end of the ban: Hudhud assumes an hour, here 2 s."""
    linked.emulator.set_faults(
        Faults(connect_failure={"reason": "402", "code": "199", "expire": "4"})
    )
    start = linked.now()
    linked.emulator.kick(linked.account)
    assert "unknown reason" in linked.wait_for_state("restricted", since=start)
    linked.emulator.reset_faults()
    linked.wait_for_state("connected", since=start)


def test_outdated_is_retried_in_a_new_process(linked: LinkedService) -> None:
    """After an hour in production, after 2 s here."""
    linked.emulator.set_faults(Faults(connect_failure={"reason": "405"}))
    start = linked.now()
    before = linked.service.wait_for_sender().pid
    linked.emulator.kick(linked.account)
    assert "Update" in linked.wait_for_state("outdated", since=start)
    linked.emulator.reset_faults()
    linked.wait_for_state("connected", since=start)
    assert linked.service.wait_for_sender().pid != before


# Messages


def test_stranger_refused_by_463_blocks_only_that_person(linked: LinkedService) -> None:
    refused, other = linked.add_phone(), linked.add_phone()
    linked.emulator.set_faults(Faults(ack_error="463", ack_error_for=[refused.removeprefix("+")]))
    job = linked.send(refused)["jobId"]
    linked.wait(lambda: "463" in (linked.job(job)["error"] or ""), "the refusal")
    linked.wait_for_delivery(linked.send(other)["jobId"], "read")
    assert linked.sender().state == "connected"
    linked.emulator.reset_faults()
    assert linked.wait_for_delivery(job, "read")["attempts"] == 1


def test_strangers_refused_by_463_restrict_the_account_until_a_probe_passes(
    linked: LinkedService,
) -> None:
    """The first probe comes after 15 minutes in production, after 3 s here."""
    former, known = "+556181234567", "+5561981234567"
    linked.add_phone(former, known)
    linked.emulator.send_text(former, linked.account, "hello")
    linked.wait(lambda: known in {row.phone for row in linked.inbound()}, "the message")
    start = linked.now()
    jobs = send_to_refused_strangers(linked)
    assert "never wrote" in linked.wait_for_state("restricted", since=start)
    until = linked.sender().until
    linked.wait_for_delivery(linked.send(known)["jobId"], "read")
    assert linked.sender().state == "restricted"
    linked.wait(lambda: linked.sender().until > until, "a probe that is refused")
    linked.emulator.reset_faults()
    linked.wait_for_state("connected", since=start)
    for job in jobs:
        linked.wait_for_delivery(job, "read")


def test_codes_for_strangers_are_refused_while_the_account_is_restricted(
    fresh: LinkedService,
) -> None:
    """The first probe, after 15 minutes, comes after the end of these codes."""
    fresh.start()
    fresh.link()
    known = fresh.add_phone()
    fresh.emulator.send_text(known, fresh.account, "hello")
    fresh.wait(lambda: known in {row.phone for row in fresh.inbound()}, "the message")
    start = fresh.now()
    send_to_refused_strangers(fresh)
    fresh.wait_for_state("restricted", since=start)
    refused = HTTP.post(
        f"{fresh.service.url}/api/v1/otp/send",
        headers={"X-API-KEY": API_KEY},
        json={"phoneNumber": fresh.add_phone()},
    )
    assert (refused.status_code, refused.json()["error"]) == (503, "sender_restricted")
    assert 600 < int(refused.headers["retry-after"]) <= 900
    fresh.wait_for_delivery(fresh.send(known)["jobId"], "read")


def test_restriction_survives_a_reconnect(linked: LinkedService) -> None:
    start = linked.now()
    send_to_refused_strangers(linked)
    linked.wait_for_state("restricted", since=start)
    cut = linked.now()
    linked.emulator.kick(linked.account)
    linked.wait_for_state("reconnecting", since=cut)
    linked.wait_for_state("restricted", since=cut)
    linked.emulator.reset_faults()
    linked.wait_for_state("connected", since=cut)


@pytest.mark.parametrize("error", ["479", "400"])
def test_other_refusals_are_retried_with_growing_waits(linked: LinkedService, error: str) -> None:
    phone = linked.add_phone()
    linked.emulator.set_faults(Faults(ack_error=error, ack_error_for=[phone.removeprefix("+")]))
    job = linked.send(phone)["jobId"]
    linked.wait(lambda: error in (linked.job(job)["error"] or ""), "the refusal")
    linked.emulator.reset_faults()
    assert linked.wait_for_delivery(job, "read")["attempts"] > 1


@pytest.mark.parametrize("error", ["420", "429"])
def test_too_much_pauses_the_whole_account(linked: LinkedService, error: str) -> None:
    """A minute in production, 2 s here."""
    phone, other = linked.add_phone(), linked.add_phone()
    linked.emulator.set_faults(Faults(ack_error=error, ack_error_for=[phone.removeprefix("+")]))
    job = linked.send(phone)["jobId"]
    linked.wait(lambda: "send less" in (linked.job(job)["error"] or ""), "the refusal")
    waiting = linked.send(other)["jobId"]
    linked.wait(lambda: "send less" in (linked.job(waiting)["error"] or ""), "it to wait")
    linked.emulator.reset_faults()
    assert linked.wait_for_delivery(job, "read")["attempts"] == 1
    assert linked.wait_for_delivery(waiting, "read")["attempts"] == 1


def test_hung_send_is_cut_off_and_retried(linked: LinkedService) -> None:
    """After 20 s in production, after 3 s here; the library alone would wait 75 s."""
    phone = linked.add_phone()
    start = linked.now()
    linked.emulator.set_faults(Faults(ack_drop=True))
    accepted = linked.send(phone)
    assert "did not answer a message" in linked.wait_for_state("reconnecting", since=start)
    linked.wait_for_state("connected", since=start)
    linked.emulator.reset_faults()
    linked.wait_for_delivery(accepted["jobId"], "read")
    texts = {message.text for message in linked.received(phone)}
    assert texts == {linked.body(accepted["jobId"]).replace("{code}", accepted["otp"])}


def test_socket_lost_during_a_send_does_not_stop_the_sender(
    linked: LinkedService,
) -> None:
    """The library resends after its reconnect and may then wait indefinitely for an ack."""
    phone = linked.add_phone()
    linked.emulator.set_faults(Faults(ack_drop=True, ack_drop_for=[phone.removeprefix("+")]))
    job = linked.send(phone)["jobId"]
    linked.wait(lambda: bool(linked.received(phone)), "the message without an ack")
    linked.emulator.kick(linked.account)
    linked.emulator.reset_faults()
    linked.wait_for_delivery(job, "read")
    assert_sends(linked)


def test_no_account_for_the_number(linked: LinkedService) -> None:
    job = linked.wait_for_delivery(linked.send(new_number())["jobId"], "failed")
    assert job["error"] == "There is no WhatsApp account for this number."


@pytest.mark.parametrize(("registered", "asked"), FORMER_NUMBERS)
def test_code_reaches_the_account_that_whatsapp_has_under_another_number(
    linked: LinkedService, registered: str, asked: str
) -> None:
    linked.add_phone(registered, asked)
    linked.wait_for_delivery(linked.send(asked)["jobId"], "read")
    assert len(linked.received(registered)) == 1


def test_account_that_is_gone_is_asked_for_again(linked: LinkedService) -> None:
    """The library itself reports a send to an account without devices as successful."""
    phone = linked.add_phone()
    with linked.database.write() as connection:
        stale = Account(phone, "999999999999999")
        contacts.remember_account(connection, phone=phone, account=stale, now=now_ms())
    assert linked.wait_for_delivery(linked.send(phone)["jobId"], "read")["attempts"] == 1


def test_code_to_the_own_number_fails_at_once(linked: LinkedService) -> None:
    own = "+525587654321"
    linked.add_phone(linked.account, own)
    job = linked.wait_for_delivery(linked.send(own)["jobId"], "failed")
    assert job["error"] is not None
    assert "the sender's own number" in job["error"]
    assert linked.received(linked.account) == []


def test_too_much_refuses_the_number_check(linked: LinkedService) -> None:
    phone = linked.add_phone()
    linked.emulator.set_faults(Faults(iq_errors={"usync": "429 rate-overlimit"}))
    job = linked.send(phone)["jobId"]
    linked.wait(lambda: "send less" in (linked.job(job)["error"] or ""), "the refusal")
    linked.emulator.reset_faults()
    assert linked.wait_for_delivery(job, "read")["attempts"] == 1


def test_silent_number_check_is_retried(linked: LinkedService) -> None:
    """After 10 s in production, after 2 s here; the library alone would wait 75 s."""
    phone = linked.add_phone()
    linked.emulator.set_faults(Faults(iq_mute=["usync"]))
    job = linked.send(phone)["jobId"]
    linked.wait(lambda: "number check" in (linked.job(job)["error"] or ""), "the timeout")
    linked.emulator.reset_faults()
    assert linked.wait_for_delivery(job, "read")["attempts"] > 1


def test_inbound_message_is_passed_on_once(linked: LinkedService) -> None:
    phone = linked.add_phone()
    sent = linked.emulator.send_text(phone, linked.account, "What is this code?")
    linked.emulator.send_text(phone, linked.account, "again", message_id=sent)
    linked.emulator.send_text(phone, linked.account, "edited", edits=sent)
    last = linked.emulator.send_text(phone, linked.account, "Thank you")
    linked.wait(
        lambda: last in {row.provider_message_id for row in linked.inbound()}, "the last message"
    )
    written = [(row.phone, row.text) for row in linked.inbound() if row.phone == phone]
    assert written == [(phone, "What is this code?"), (phone, "Thank you")]


def test_inbound_message_without_a_number_is_passed_on_with_it(linked: LinkedService) -> None:
    phone = linked.add_phone()
    linked.wait_for_delivery(linked.send(phone)["jobId"], "read")
    linked.emulator.set_faults(Faults(hide_numbers=True))
    sent = linked.emulator.send_text(phone, linked.account, "Thank you")
    linked.wait(
        lambda: (sent, phone) in {(row.provider_message_id, row.phone) for row in linked.inbound()},
        "the message",
    )


# Link


@pytest.mark.parametrize("tamper", ["hmac", "sig"])
def test_pairing_failed_shows_a_new_code(unlinked: LinkedService, tamper: str) -> None:
    start = unlinked.now()
    unlinked.emulator.scan(
        unlinked.wait_for_qr(),
        unlinked.account,
        tamper=tamper,  # type: ignore[arg-type]
    )
    unlinked.wait_for_detail("Linking failed")
    unlinked.wait_for_state("pairing", since=start)
    unlinked.wait_for_qr(new=True)


@pytest.mark.chaos
def test_qr_timeout_shows_a_new_code(unlinked: LinkedService) -> None:
    """The server offers one code instead of six, so that the library gives up after 20 s."""
    unlinked.emulator.set_faults(Faults(qr_refs=1))
    unlinked.reload()
    first, since = unlinked.wait_for_qr(), unlinked.sender().state_since
    unlinked.wait(lambda: unlinked.sender().state_since > since, "the new process")
    assert unlinked.wait_for_qr() != first


@pytest.mark.parametrize("reason", ["403", "503"])
def test_pairing_refused_is_retried(unlinked: LinkedService, reason: str) -> None:
    unlinked.emulator.set_faults(Faults(connect_failure={"reason": reason}))
    unlinked.reload()
    unlinked.wait_for_detail("does not allow new devices")
    unlinked.emulator.reset_faults()
    unlinked.wait_for_qr()


def test_outdated_before_the_link(unlinked: LinkedService) -> None:
    unlinked.emulator.set_faults(Faults(connect_failure={"reason": "405"}))
    start = unlinked.now()
    unlinked.reload()
    assert "Update" in unlinked.wait_for_state("outdated", since=start)
    unlinked.emulator.reset_faults()
    unlinked.wait_for_qr()


def test_unreachable_server_before_the_link(unlinked: LinkedService) -> None:
    unlinked.emulator.set_faults(Faults(upgrade_status=503))
    start = unlinked.now()
    unlinked.reload()
    assert "cannot be reached" in unlinked.wait_for_state("reconnecting", since=start)
    unlinked.emulator.reset_faults()
    unlinked.wait_for_qr()


@pytest.mark.parametrize("moment", ["offer", "qr", "phone_code"])
def test_passkey_request_is_explained(unlinked: LinkedService, moment: str) -> None:
    """The phone asks at once, after the scan, or after the pairing code.

    A fresh code comes after 5 minutes (here 2 s), or when an operator reloads.
    """
    unlinked.emulator.set_faults(Faults(passkey="offer" if moment == "offer" else "link"))
    unlinked.reload()
    if moment == "qr":
        unlinked.emulator.scan(unlinked.wait_for_qr(), unlinked.account)
    elif moment == "phone_code":
        code = unlinked.command("pair_phone", unlinked.account).pair_code
        unlinked.emulator.enter_code(unlinked.account, str(code))
    row = unlinked.wait_for_detail("passkey")
    assert (row.state, row.qr) == ("pairing", None)
    unlinked.emulator.reset_faults()
    unlinked.wait_for_qr()
