"""The demo shows both languages and leaves no files or processes."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from support.admin import is_admin
from support.services import wait_until
from support.terminal import CTRL_C, Terminal

SECONDS = 120


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The temporary folder of the demo."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def processes_in(folder: Path) -> list[int]:
    """Return the processes that use this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [process.cwd(), *process.cmdline()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if any(str(folder) in word for word in words):
            found.append(process.pid)
    return found


def do_as_curl(line: str) -> dict[str, Any]:
    """Send the request of a curl line; small machines lack curl."""
    curl, x, method, url, *options = shlex.split(line.replace("\\\n", " "))
    assert (curl, x) == ("curl", "-X")
    values = dict(zip(options[1::2], options[::2], strict=True))
    body = next(value for value, option in values.items() if option == "-d")
    headers = [value.split(": ", 1) for value, option in values.items() if option == "-H"]
    answer = httpx.request(method, url, headers=dict(headers), content=body, timeout=30)
    assert answer.status_code == 202
    answered: dict[str, Any] = answer.json()
    return answered


def test_self_test_shows_both_languages_and_exits(tmp_path: Path, temporary: Path) -> None:
    (tmp_path / ".env").write_text("CHANNEL=sandbox\nPORT=none\n")  # not for the demo
    ended = subprocess.run(
        [sys.executable, "-m", "hudhud", "demo", "--self-test", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(temporary), "DATA_DIR": "mine"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    egyptian, british = re.split(r"The phone \+447700900123 received:", ended.stdout)
    assert "The phone +201001234567 received:" in egyptian
    assert re.search(r"[\u0600-\u06ff]", egyptian)
    assert re.search(r"^ {4}\d{6}$", egyptian, re.MULTILINE)
    assert re.search(r"^ {4}\d{6}$", british, re.MULTILINE)
    assert not re.search(r"[\u0600-\u06ff]", british)
    assert ended.stdout.endswith("Both messages arrived, were decrypted and read.\n")
    assert list(temporary.iterdir()) == []
    assert list(tmp_path.glob("mine")) == []
    assert processes_in(temporary) == []


def test_printed_curl_line_works_and_ctrl_c_leaves_nothing(tmp_path: Path, temporary: Path) -> None:
    with Terminal(
        tmp_path, "hudhud", "demo", "--port", "0", variables={"TMPDIR": str(temporary)}
    ) as terminal:
        terminal.wait_for("Ctrl-C ends the demo", SECONDS)
        dashboard = re.search(r"Dashboard:  (http\S+)/admin/status\n", terminal.text)
        login = re.search(r"Log in as:  admin, with the password (\S+)\n", terminal.text)
        assert dashboard is not None
        assert login is not None
        assert is_admin(dashboard[1], login[1])
        line = terminal.text[terminal.text.index("curl -X POST") :].split("\n\n")[0]
        assert "otp" in do_as_curl(line)
        terminal.wait_for("The phone +201001234567 received:")
        assert processes_in(temporary) != []
        terminal.press(CTRL_C)
        assert terminal.wait() == 0
        assert "Traceback" not in terminal.text
    assert list(temporary.iterdir()) == []
    assert processes_in(temporary) == []


def test_ctrl_c_during_the_start_leaves_no_files_or_processes(
    tmp_path: Path, temporary: Path
) -> None:
    with Terminal(
        tmp_path, "hudhud", "demo", "--port", "0", variables={"TMPDIR": str(temporary)}
    ) as terminal:
        terminal.wait_for("Starting Hudhud", SECONDS)
        terminal.press(CTRL_C)
        assert terminal.wait() == 130
        assert "Traceback" not in terminal.text
    assert list(temporary.iterdir()) == []
    assert processes_in(temporary) == []


def test_killed_demo_leaves_no_process(tmp_path: Path, temporary: Path) -> None:
    with Terminal(
        tmp_path, "hudhud", "demo", "--port", "0", variables={"TMPDIR": str(temporary)}
    ) as terminal:
        terminal.wait_for("Ctrl-C ends the demo", SECONDS)
        terminal.process.kill()
        terminal.wait()
    wait_until(lambda: processes_in(temporary) == [], 20, "the end of all processes")
