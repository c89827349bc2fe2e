"""Notices about weak values and leftovers of the earlier application, which stay untouched."""

from pathlib import Path
from typing import Any

import pytest

from conftest import settings
from hudhud.cli.startup_notices import notices
from hudhud.core.env_files import read_environment


def lines(environment: dict[str, str] | None = None, **changes: Any) -> list[str]:
    """Return the notices, by default without those about gaps and databases."""
    return notices(environment or {}, settings(**changes))


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return content and modification time of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_fresh_installation_has_no_notices() -> None:
    assert lines() == []


@pytest.mark.parametrize(
    ("weak", "enough"),
    [({"api_key": "k" * 19}, {"api_key": "k" * 20}),
     ({"admin_password": "p" * 11}, {"admin_password": "p" * 12})],
)  # fmt: skip
def test_weak_value_is_mentioned_but_not_shown(
    weak: dict[str, Any], enough: dict[str, Any]
) -> None:
    ((name, value),) = weak.items()
    (line,) = lines(**weak)
    assert line.startswith(f"{name.upper()} has fewer than {len(value) + 1} characters")
    assert value not in line
    assert lines(**enough) == []


@pytest.mark.parametrize(
    "name", ["NODE_ENV", "WORKER_POLLING_INTERVAL_MS", "WORKER_WHATSAPP_CHECK_INTERVAL_MS"]
)
def test_obsolete_variable_gets_one_line_with_a_reason(name: str) -> None:
    (line,) = lines({name: "7000"})
    assert line.startswith(f"{name} is no longer needed: ")


def test_variables_of_files_and_environment_are_both_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("config").mkdir()
    Path(".env").write_text("NODE_ENV=production\n", encoding="utf-8")
    Path("config/.env").write_text("WORKER_POLLING_INTERVAL_MS=1\n", encoding="utf-8")
    monkeypatch.setenv("WORKER_WHATSAPP_CHECK_INTERVAL_MS", "1")
    assert len(notices(read_environment(), settings())) == 3


@pytest.mark.parametrize(("level", "count"), [("debug", 1), ("TRACE", 1), ("info", 0), ("warn", 0)])
def test_library_log_level_that_prints_the_qr_secret_is_mentioned(level: str, count: int) -> None:
    found = lines({"BAILEYS_INTERNAL_LOG_LEVEL": level})
    assert len(found) == count
    assert all("counts as info" in line for line in found)


def test_sample_values_of_telegram_count_as_unset_and_are_mentioned() -> None:
    placeholder = "YOUR_TELEGRAM_CHAT_ID_IF_USING_ALERTS"
    (line,) = lines({"TELEGRAM_CHAT_ID": placeholder}, telegram_chat_id=placeholder)
    assert line == "TELEGRAM_CHAT_ID still has its sample value and counts as unset."


def test_telegram_bot_without_a_chat_is_mentioned_without_its_token() -> None:
    (line,) = lines(telegram_bot_token="1:secret")
    assert line == "No alerts are sent to Telegram: TELEGRAM_CHAT_ID is not set."


def test_value_truncated_by_the_earlier_application_is_mentioned_but_not_shown() -> None:
    Path(".env").write_text(
        "API_KEY=abc#def\nADMIN_PASSWORD='abc#def'\nPORT=3000 # comment\nOTHER=a#b\n",
        encoding="utf-8",
    )
    (line,) = lines()
    assert line.startswith("API_KEY in .env has a # outside quotes")
    assert "abc" not in line


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"worker_min_send_delay_ms": 5000, "worker_max_send_delay_ms": 20000}, 24),
        ({"otp_ttl_seconds": 59}, 59),
    ],
)
def test_gaps_for_fewer_than_sixty_codes_cause_a_warning(
    changes: dict[str, Any], codes: int
) -> None:
    (line,) = lines(**changes)
    assert f"about {codes} codes" in line


@pytest.mark.parametrize(
    "changes",
    [
        {"otp_ttl_seconds": 60},
        {"channel": "sandbox", "worker_min_send_delay_ms": 9000},
        {"worker_min_send_delay_ms": 0, "worker_max_send_delay_ms": 0},
    ],
)
def test_gaps_for_enough_codes_cause_no_warning(changes: dict[str, Any]) -> None:
    assert lines(**changes) == []


@pytest.mark.parametrize(
    "session",
    [
        "database/auth",
        "database/auth/session-shop",
        "database/session-shop",
        "database/baileys_auth_info",
        "data/auth",
        "data/baileys_auth_info/session-shop",
    ],
)
def test_session_of_the_earlier_application_is_untouched_and_mentioned(
    session: str,
) -> None:
    folder = Path(session)
    folder.mkdir(parents=True)
    (folder / "creds.json").write_text("{}", encoding="utf-8")
    before = contents(folder)
    (line,) = lines(
        db_filename=Path("database/new.db"),
        baileys_session_dir_name="auth",
        whatsapp_client_id="shop",
    )
    assert session in line
    assert "scan the new QR code" in line
    assert contents(folder) == before


def test_own_session_is_not_mistaken_for_an_earlier_one() -> None:
    Path("data/session").mkdir(parents=True)
    Path("data/session/main.db").touch()
    assert lines() == []
