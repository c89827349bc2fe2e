"""The emulator process: start and stop, control API, proxy, key patch."""

import http.client
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from waemu.client import EmulatorClient, EmulatorError, EmulatorProcess
from waemu.faults import Faults

_SECONDS = 20


def _connect(address: str) -> socket.socket:
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port or 0), timeout=_SECONDS)


def _answer_to(proxy: str, request: bytes) -> bytes:
    with _connect(proxy) as connection:
        connection.sendall(request)
        return connection.recv(1000)


def test_emulator_leaves_no_files(tmp_path: Path) -> None:
    emulator = EmulatorProcess(log=tmp_path / "log").start()
    folder = emulator.ca.parent
    (process,) = [child for child in psutil.Process().children() if str(folder) in child.cmdline()]
    emulator.stop()
    assert not process.is_running()
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        _connect(emulator.proxy)
    emulator.stop()
    assert (tmp_path / "log").read_text() == ""


def test_emulator_keeps_a_given_folder(tmp_path: Path) -> None:
    with EmulatorProcess(tmp_path / "here") as emulator:
        assert emulator.ca == tmp_path / "here" / "ca.pem"
    assert (tmp_path / "here" / "ca.pem").exists()


def test_an_emulator_ends_with_the_process_that_started_it() -> None:
    script = (
        "import os; from waemu.client import EmulatorProcess; "
        "print(EmulatorProcess().start().control, flush=True); os._exit(0)"
    )
    parent = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    control = EmulatorClient(parent.stdout.strip())

    def is_gone() -> bool:
        try:
            control.stats()
        except EmulatorError:
            return True
        return False

    control.wait_for(is_gone, timeout=_SECONDS, what="the emulator to end")


def test_failed_start_raises_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    emulator = EmulatorProcess(tmp_path / "file" / "folder", log=tmp_path / "log")
    with pytest.raises(EmulatorError, match="did not start"):
        emulator.start()
    assert "NotADirectoryError" in (tmp_path / "log").read_text()


def test_environment_points_a_client_to_the_emulator(emulator: EmulatorProcess) -> None:
    assert emulator.environment() == {
        "SSL_CERT_FILE": str(emulator.ca),
        "WAEMU_ROOT_KEY": emulator.root_key.hex(),
        "WHATSAPP_PROXY": emulator.proxy,
    }
    assert len(emulator.root_key) == 32


def test_proxy_refuses_all_other_targets(emulator: EmulatorProcess) -> None:
    refused = [
        b"CONNECT example.com:443 HTTP/1.1\r\n\r\n",
        b"CONNECT web.whatsapp.com:80 HTTP/1.1\r\n\r\n",
        b"GET http://web.whatsapp.com/ HTTP/1.1\r\n\r\n",
        b"rubbish\r\n\r\n",
    ]
    for request in refused:
        assert _answer_to(emulator.proxy, request).startswith(b"HTTP/1.1 403 ")
    assert emulator.refused_targets()[:2] == ["example.com:443", "web.whatsapp.com:80"]
    allowed = _answer_to(emulator.proxy, b"CONNECT web.whatsapp.com:443 HTTP/1.1\r\n\r\n")
    assert allowed.startswith(b"HTTP/1.1 200 ")


def test_the_proxy_refuses_connections_and_listens_again_on_its_port(
    emulator: EmulatorProcess,
) -> None:
    for _ in range(3):
        emulator.set_faults(Faults(refuse_connections=True))
        with pytest.raises(ConnectionRefusedError):
            _connect(emulator.proxy)
        emulator.reset_faults()
        _connect(emulator.proxy).close()


def test_faults_are_returned_as_set(emulator: EmulatorProcess) -> None:
    faults = Faults(
        connect_failure={"reason": "402", "code": "101", "expire": "60"},
        ack_error="463",
        ack_error_for=["+15552223333"],
        iq_errors={"usync": "429 rate-overlimit"},
        iq_mute=["w:p"],
        passkey="link",
    )
    emulator.set_faults(faults)
    assert emulator.faults() == faults
    assert faults.ack_error_for == ["15552223333"]
    emulator.reset_faults()
    assert emulator.faults() == Faults()


def test_refused_operations_raise_an_error_with_a_reason(emulator: EmulatorProcess) -> None:
    with pytest.raises(EmulatorError, match="no phone has the number 19998887777"):
        emulator.kick("+19998887777")
    with pytest.raises(EmulatorError, match="not a QR code"):
        emulator.scan("rubbish", "15550001111")
    with pytest.raises(EmulatorError, match="damaged"):
        emulator.scan("https://wa.me/settings/linked_devices#a,b,c,d,6", "15550001111")
    with pytest.raises(EmulatorError, match="not valid any more"):
        emulator.scan("https://wa.me/settings/linked_devices#a,YQ==,YQ==,YQ==,6", "15550001111")
    with pytest.raises(EmulatorError, match="no client waits"):
        emulator.enter_code("15550001111", "ABCD-EFGH")
    with pytest.raises(EmulatorError, match="no linked device"):
        emulator.send_text("15552223333", "15550001111", "x")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/nothing", b"{}"),
        ("/_companions", b'{"number": "15550001111"}'),
        ("/kick", b"{}"),
        ("/kick", b'{"number": "15550001111", "what": 1}'),
        ("/set_faults", b'{"faults": {"unknown": 1}}'),
        ("/stats", b"[]"),
        ("/stats", b"no json"),
    ],
)
def test_a_malformed_call_is_answered_with_an_error(
    emulator: EmulatorProcess, path: str, body: bytes
) -> None:
    connection = http.client.HTTPConnection(urlsplit(emulator.control).netloc, timeout=_SECONDS)
    connection.request("POST", path, body)
    answer = connection.getresponse()
    assert answer.status == 400
    assert json.loads(answer.read())["error"]
    connection.close()


def test_phones_added_in_bulk_keep_their_lid(emulator: EmulatorProcess) -> None:
    lid = emulator.add_phone("+15556660000", lid="123456")
    assert lid == "123456"
    before = emulator.stats().phones
    emulator.add_phones([f"+1555666{number:04}" for number in range(2000)])
    assert emulator.stats().phones == before + 1999
    assert emulator.add_phone("15556660000") == "123456"


def test_wait_for_times_out(emulator: EmulatorProcess) -> None:
    assert emulator.wait_for(lambda: 5) == 5
    with pytest.raises(TimeoutError, match="for a miracle"):
        emulator.wait_for(lambda: 0, timeout=0.1, what="a miracle")


def test_key_patch_without_a_library_raises_an_error() -> None:
    script = "from waemu.keypatch import patch_root_key; patch_root_key(bytes(32))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert "KeyPatchError: expected one writable copy" in done.stderr
    assert "found 0" in done.stderr


def test_key_patch_works_only_once() -> None:
    script = (
        "import hudhud.channels.linked.client; from waemu.keypatch import patch_root_key; "
        "patch_root_key(bytes(range(32))); print('patched', flush=True); "
        "patch_root_key(bytes(32))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert "patched" in done.stdout
    assert "found 0" in done.stderr


def test_demo_sender_requires_a_root_key() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "WAEMU_ROOT_KEY"}
    done = subprocess.run(
        [sys.executable, "-m", "hudhud.cli.demo.sender"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "WAEMU_ROOT_KEY" in done.stderr
