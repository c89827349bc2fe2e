"""Check the emulator with an independent client, the npm package baileys."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from waemu.client import EmulatorProcess

ACCOUNT = "15550001111"
FRIEND = "15552223333"
TEXT = "Your code is 654321"
DELIVERED = 3
READ = 4

_FOLDER = Path(__file__).with_name("crosscheck")
_SECONDS = 120.0


@pytest.fixture
def baileys(emulator: EmulatorProcess, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    node = shutil.which("node")
    assert node, "the cross-check needs Node.js"
    assert (_FOLDER / "node_modules" / "baileys").is_dir(), (
        "baileys is not installed: npm ci --prefix tests/emulator/crosscheck"
    )
    environment = {
        **os.environ,
        "NODE_EXTRA_CA_CERTS": str(emulator.ca),
        "EMULATOR_ROOT_KEY": emulator.root_key.hex(),
        "EMULATOR_URL": emulator.websocket,
        "SESSION_DIRECTORY": str(tmp_path / "session"),
        "RECIPIENT": FRIEND,
        "TEXT": TEXT,
    }
    process = subprocess.Popen(
        [node, "client.mjs"], cwd=_FOLDER, env=environment, stdout=subprocess.PIPE, text=True
    )
    watchdog = threading.Timer(_SECONDS, process.kill)
    watchdog.start()
    yield process
    watchdog.cancel()
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _next(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    """Return the next event of that name, or fail."""
    assert process.stdout is not None
    passed = []
    for line in process.stdout:
        passed.append(line)
        if line.startswith("@"):
            found: dict[str, Any] = json.loads(line[1:])
            if found["event"] == event:
                return found
    raise AssertionError(f"no {event} in {passed}")


def test_baileys_pairs_sends_and_receives(
    emulator: EmulatorProcess, baileys: subprocess.Popen[str]
) -> None:
    emulator.scan(_next(baileys, "qr")["code"], ACCOUNT)
    assert _next(baileys, "open")["id"].startswith(ACCOUNT)
    assert len(_next(baileys, "known")["numbers"]) == 1
    sent = _next(baileys, "sent")["id"]

    # The client reports a message as sent before the server has read it.
    (message,) = emulator.wait_for(lambda: emulator.messages(FRIEND), what="the message")
    assert (message.message_id, message.text) == (sent, TEXT)
    assert emulator.undecryptable() == []

    emulator.receipt(ACCOUNT, FRIEND, sent)
    while _next(baileys, "update") != {"event": "update", "id": sent, "status": DELIVERED}:
        pass
    emulator.receipt(ACCOUNT, FRIEND, sent, "read")
    while _next(baileys, "update") != {"event": "update", "id": sent, "status": READ}:
        pass

    reply = emulator.send_text(FRIEND, ACCOUNT, "thank you")
    assert _next(baileys, "message") == {"event": "message", "id": reply, "text": "thank you"}
