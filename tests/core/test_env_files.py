"""Env files: precedence, syntax, and refused content."""

from pathlib import Path

import pytest

from hudhud.core.settings import load_settings
from support.env_files import refusal, write_env


def test_environment_precedes_config_env_which_precedes_env(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_env("PORT=1\nOTP_LENGTH=5\nBRAND_NAME=One")
    write_env("PORT=2\nOTP_LENGTH=6", "config/.env")
    monkeypatch.setenv("PORT", "3")
    settings = load_settings()
    assert (settings.port, settings.otp_length, settings.brand_name) == (3, 6, "One")


@pytest.mark.parametrize("value", ["", "   ", '""', "''", " # only a comment"])
def test_variable_without_a_value_counts_as_unset(value: str) -> None:
    write_env(f"API_KEY={value}\nPORT={value}\nDATABASE_URL")
    settings = load_settings()
    assert (settings.api_key, settings.port, settings.database_url) == (None, 3000, None)


def test_an_empty_variable_of_the_environment_does_not_hide_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_env("PORT=4000")
    monkeypatch.setenv("PORT", "")
    assert load_settings().port == 4000


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a b", "a b"),
        ("'a # b'", "a # b"),
        ('"a # b"', "a # b"),
        ("a#b # comment", "a#b"),
        ('"a" # comment', "a"),
        ("a$b${HOME}", "a$b${HOME}"),
        ("مفتاح", "مفتاح"),
    ],
)
def test_values_are_taken_literally(written: str, meant: str) -> None:
    write_env(f"API_KEY={written}\r\nPORT=5\r\n")
    assert (load_settings().api_key, load_settings().port) == (meant, 5)


def test_lowercase_names_export_and_byte_order_mark_are_accepted() -> None:
    Path(".env").write_bytes("\ufeffPORT=4000\nexport otp_length=7\n".encode())
    assert (load_settings().port, load_settings().otp_length) == (4000, 7)


@pytest.mark.parametrize("line", ["=== settings ===", 'API_KEY="never closed', "PORT: 3000"])
def test_malformed_line_is_refused_with_its_file_and_number(line: str) -> None:
    write_env(f"# settings\nOTP_LENGTH=5\n{line}\n", "config/.env")
    assert refusal().startswith("config/.env, line 3:")


def test_file_that_is_not_utf_8_is_refused_by_name() -> None:
    Path(".env").write_bytes("BRAND_NAME=متجر".encode("cp1256"))
    assert refusal() == ".env is not UTF-8 text: save it again as UTF-8."


def test_folder_called_env_is_ignored() -> None:
    Path(".env").mkdir()
    assert load_settings().port == 3000
