"""Log lines of real processes: destinations, and masking of secrets."""

import json
import os
import pty
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hudhud.core.log_files import KEPT_FILES, LogFile
from hudhud.core.masking import mask_text, mask_value
from support.services import wait_until

PRELUDE = """\
import asyncio, logging, threading
import structlog
from hudhud.core import logs
from hudhud.core.settings import load_settings
logs.configure(load_settings(), "web")
log = structlog.get_logger("hudhud.test")
"""

Line = dict[str, Any]


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process with configured logging, in the current folder."""
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def lines_of(text: str) -> list[Line]:
    return [json.loads(line) for line in text.splitlines()]


def file(name: str) -> list[Line]:
    """Return the lines of a log file, or none without it."""
    path = Path("logs") / name
    return lines_of(path.read_text(encoding="utf-8")) if path.exists() else []


def test_without_a_terminal_lines_are_json_on_stderr_and_in_the_combined_file() -> None:
    done = run("log.info('Listening', port=3000)")
    (line,) = lines_of(done.stderr)
    assert done.stdout == ""
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "event": "Listening",
        "process": "web",
        "logger": "hudhud.test",
        "port": 3000,
    }
    assert [one["event"] for one in file("combined.log")] == ["Listening"]
    assert file("errors.log") == []


def test_on_a_terminal_lines_are_readable_and_free_of_control_characters() -> None:
    controller, terminal = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-c", PRELUDE + r"log.info('Wrote', text='\x1b]0;x\x07 السلام')"],
            stderr=terminal,
            check=True,
            timeout=60,
        )
        shown = os.read(controller, 10_000).decode()
    finally:
        os.close(terminal)
        os.close(controller)
    assert "Wrote" in shown
    assert "السلام" in shown
    assert "\x1b]0;x" not in shown
    assert not shown.startswith("{")
    assert file("combined.log")[0]["event"] == "Wrote"


def test_errors_are_also_in_a_separate_file_with_a_traceback_without_variables() -> None:
    run(
        """
        def send(secret_local):
            raise ValueError("refused for +201001234567")
        try:
            send("7391")
        except ValueError:
            log.exception("Not sent")
        log.warning("Only a warning")
        """
    )
    (line,) = file("errors.log")
    assert line["event"] == "Not sent"
    assert "in send" in line["exception"]
    assert "refused for +2010*****67" in line["exception"]
    assert "7391" not in line["exception"].replace('send("7391")', "")
    assert len(file("combined.log")) == 2


def test_failed_statement_is_logged_without_its_values() -> None:
    run(
        """
        from sqlalchemy import text
        from hudhud.db.engine import Database
        database = Database("sqlite:///x.db")
        try:
            with database.write() as connection:
                connection.execute(text("INSERT INTO nowhere VALUES (:code)"), {"code": "7391-abc"})
        except Exception:
            log.exception("Not stored")
        """
    )
    (line,) = file("errors.log")
    assert "nowhere" in line["exception"]
    assert "7391-abc" not in line["exception"].replace('{"code": "7391-abc"}', "")


def test_lines_of_libraries_are_handled_alike() -> None:
    names = ("uvicorn.error", "litestar", "apprise", "neonize.client")
    run(
        f"""
        logging.basicConfig(level=logging.DEBUG)
        for name in {names!r}:
            logging.getLogger(name).info("%s says +201001234567", name)
            logging.getLogger(name).debug("never")
        logging.getLogger("sqlalchemy.engine").info("never")
        logging.getLogger("httpx").info("never")
        logging.getLogger("alembic.runtime.migration").info("never")
        logging.getLogger("sqlalchemy.pool").warning("this")
        """,
        LOG_LEVEL="debug",
    )
    lines = file("combined.log")
    assert [line["logger"] for line in lines] == [*names, "sqlalchemy.pool"]
    assert lines[0]["event"] == "uvicorn.error says +2010*****67"
    assert {line["process"] for line in lines} == {"web"}


def test_previously_configured_loggers_are_taken_over() -> None:
    code = """
    import logging, sys
    handler = logging.StreamHandler(sys.stdout)
    logging.getLogger("uvicorn").addHandler(handler)
    logging.getLogger("uvicorn").propagate = False
    """
    done = run(
        textwrap.dedent(code)
        + 'logs.configure(load_settings(), "web")\nlogging.getLogger("uvicorn.error").info("hello")'
    )
    assert done.stdout == ""
    assert [line["event"] for line in lines_of(done.stderr)] == ["hello"]


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("http", ["info", "warning", "error"]),
        ("warn", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_lines_below_the_level_are_dropped(level: str, shown: list[str]) -> None:
    done = run(
        "for name in ('debug', 'info', 'warning', 'error'): getattr(log, name)('x')",
        LOG_LEVEL=level,
    )
    assert [line["level"] for line in lines_of(done.stderr)] == shown
    assert [line["level"] for line in file("combined.log")] == shown


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("raise ValueError('boom')", 1),
        (
            """
            def boom():
                raise ValueError('boom')
            thread = threading.Thread(target=boom)
            thread.start()
            thread.join()
            """,
            0,
        ),
        (
            """
            async def boom():
                raise ValueError('boom')
            async def main():
                task = asyncio.create_task(boom())
                await asyncio.wait([task])
            asyncio.run(main())
            """,
            0,
        ),
        (
            """
            class Boom:
                def __del__(self):
                    raise ValueError('boom')
            Boom()
            """,
            0,
        ),
    ],
)
def test_uncaught_exception_is_in_every_file(code: str, exit_code: int) -> None:
    done = run(code)
    assert done.returncode == exit_code
    for name in ("combined.log", "errors.log", "exceptions.log"):
        (line,) = file(name)
        assert line["unhandled"] is True
        assert "ValueError: boom" in line["exception"]


def test_ctrl_c_is_not_logged_as_an_uncaught_exception() -> None:
    run("raise KeyboardInterrupt")
    assert file("exceptions.log") == []


def test_every_line_of_a_request_has_its_request_id() -> None:
    run(
        """
        with structlog.contextvars.bound_contextvars(request_id="r1"):
            log.info("one")
            logging.getLogger("litestar").info("two")
        log.info("three")
        """
    )
    assert [line.get("request_id") for line in file("combined.log")] == ["r1", "r1", None]


def test_secrets_and_phone_numbers_are_masked_in_lines() -> None:
    done = run(
        """
        key = "hh_live_abcdef" + "x" * 37
        log.info("+201001234567 sent", otp="7391", jid="201001234567:3@s.whatsapp.net",
                 nested=[{"password": "7391", "to": "+20 100 123 4567"}], url="http://a:7391@h/",
                 phone=201001234567, error=ValueError("+201001234567"), key=key,
                 others=[key.replace("live", "test"), "whsec_xxxx+xxxx/xxxx="])
        """
    )
    text = done.stderr + Path("logs/combined.log").read_text(encoding="utf-8")
    assert "7391" not in text
    assert "1234567" not in text
    assert "xxxx" not in text
    assert "hh_live_abcdef…" in text
    assert "hh_test_abcdef…" in text


def test_caller_cannot_break_or_forge_a_line() -> None:
    run(
        """
        log.info("a\\nb", level="x", timestamp=1, process=2, logger=3)
        log.info("odd", surrogate="\\udcff", big=10**40, nan=float("nan"))
        logging.getLogger("x").info("%d", "7391")
        loop = []
        loop.append(loop)
        log.info("deep", loop=loop)
        """
    )
    first, odd, wrong, deep = file("combined.log")
    assert (first["event"], first["level"], first["process"]) == ("a\nb", "info", "web")
    assert (first["level_"], first["process_"]) == ("x", 2)
    assert odd["big"] == 10**40
    assert wrong["event"] == "%d"
    assert deep["event"] == "deep"


def test_log_files_are_private() -> None:
    run("log.error('x')")
    assert Path("logs").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in Path("logs").iterdir()} == {0o600}


def no_folder() -> None:
    """Prevent the creation of the log folder."""
    Path("logs").touch()


def full_disk() -> None:
    """Make every write fail as on a full disk."""
    Path("logs").mkdir()
    for name in ("combined.log", "errors.log"):
        (Path("logs") / name).symlink_to("/dev/full")


@pytest.mark.parametrize("fault", [no_folder, full_disk])
def test_process_continues_without_log_files_and_reports_it_once(fault: Any) -> None:
    fault()
    done = run("for number in range(3): log.error(f'line {number}')")
    assert done.returncode == 0
    events = [line["event"] for line in lines_of(done.stderr)]
    assert [event for event in events if event.startswith("line")] == ["line 0", "line 1", "line 2"]
    assert len([event for event in events if "LOG_DIR" in event]) == 1
    assert len(events) == 4


def test_process_continues_without_stderr() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, PRELUDE + "log.info('x')"],
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert [line["event"] for line in file("combined.log")] == ["x"]


WRITER = """\
import sys
from pathlib import Path
from hudhud.core.log_files import LogFile
def fail(error):
    raise error
log = LogFile(Path("shared.log"), fail, largest=20_000)
for number in range(500):
    log.write(f"{sys.argv[1]} {number} {'x' * 20}\\n".encode())
"""


def rotated() -> list[Path]:
    return sorted(Path().glob("shared.log*"))


def test_concurrent_writes_and_rotations_lose_and_mix_no_lines() -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(number)]) for number in range(4)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    assert len(rotated()) > 2
    lines = [line for path in rotated() for line in path.read_text(encoding="utf-8").splitlines()]
    expected = {f"{writer} {number} {'x' * 20}" for writer in range(4) for number in range(500)}
    assert len(lines) == len(expected)
    assert set(lines) == expected


@pytest.fixture
def complaints() -> list[OSError]:
    """The errors that a log file reported."""
    return []


@pytest.fixture
def shared(complaints: list[OSError]) -> Iterator[LogFile]:
    """A log file that is rotated at 100 bytes, and tried again soon after it failed."""
    opened = LogFile(Path("shared.log"), complaints.append, largest=100, retry_seconds=0.01)
    yield opened
    opened.close()


def test_only_the_newest_files_are_kept(shared: LogFile) -> None:
    for number in range(100):
        shared.write(f"{number:099}\n".encode())
    assert len(rotated()) == KEPT_FILES + 1
    assert Path("shared.log.1").read_text(encoding="utf-8").endswith("98\n")
    assert Path("shared.log.5").read_text(encoding="utf-8").endswith("94\n")


def test_moved_or_removed_file_is_recreated(shared: LogFile) -> None:
    shared.write(b"one\n")
    Path("shared.log").rename("moved")
    shared.write(b"two\n")
    Path("shared.log").unlink()
    shared.write(b"three\n")
    assert Path("moved").read_bytes() == b"one\n"
    assert Path("shared.log").read_bytes() == b"three\n"


def test_file_is_used_again_once_it_is_writable(shared: LogFile, complaints: list[OSError]) -> None:
    Path("shared.log").mkdir()
    shared.write(b"lost\n")
    assert len(complaints) == 1
    Path("shared.log").rmdir()

    def written() -> bool:
        shared.write(b"kept\n")
        return Path("shared.log").exists()

    wait_until(written, 10, "the file to be written again")
    assert b"kept\n" in Path("shared.log").read_bytes()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to +201001234567.", "to +2010*****67."),
        ("+201001234567,+966512345678", "+2010*****67,+9665*****78"),
        ("201001234567@s.whatsapp.net", "20100*****67@s.whatsapp.net"),
        ("201001234567.0:12", "20100*****67.0:12"),
        ("/messages?phoneNumber=%2B201001234567", "/messages?phoneNumber=%2B20100*****67"),
        ("00201001234567", "00201*****67"),
        ("tel:+20 (100) 123-4567", "tel:+20 (*****67"),
        ("+٢٠١٠٠١٢٣٤٥٦٧", "+٢٠١٠*****٦٧"),
        ("+2010*****67", "+2010*****67"),
        ("postgresql://hudhud:hunter2@db/x", "postgresql://***@db/x"),
        ("/bot123456:AAF-x_y/sendMessage", "/bot***/sendMessage"),
        ("tgram://123456:AAF-x_y/1", "tgram://***/1"),
        (
            "https://wa.me/settings/linked_devices#2@a,b,c",
            "https://wa.me/settings/linked_devices#***",
        ),
        ("job 123456789 at 2026-11-23T01:31:18.036Z", "job 123456789 at 2026-11-23T01:31:18.036Z"),
        ("0f5e2a1b9c8d7e6f5a4b3c2d1e0f9a8b", "0f5e2a1b9c8d7e6f5a4b3c2d1e0f9a8b"),
        ("took 0.12345678901 s", "took 0.12345678901 s"),
        ("127.0.0.1:3000 +5 -7 1+1", "127.0.0.1:3000 +5 -7 1+1"),
        ("", ""),
    ],
)
def test_only_numbers_and_secrets_are_hidden(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "name",
    ["otp", "code", "Password", "api_key", "X-API-KEY", "token", "secret", "admin_password", "qr"],
)
def test_any_value_named_like_a_secret_is_hidden(name: str) -> None:
    for value in ("7391", 7391, b"7391", ["7391"], {"a": "7391"}):
        assert mask_value(name, value) == "***"
    assert mask_value(name, None) is None


@pytest.mark.parametrize("name", ["exit_code", "status_code", "token_count", "event", "keys"])
def test_values_with_other_names_are_unchanged(name: str) -> None:
    assert mask_value(name, 463) == 463
