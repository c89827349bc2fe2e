"""Conversion of the library's events, in a separate process."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("linked_events.py")
SOURCES = Path(__file__).parents[3] / "src" / "hudhud"
SENT_AT = 1_800_000_000_000
PERSON = {"phone": "+201001234567", "lid": "100000000000001"}


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """The output of the script."""
    finished = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=60, check=False
    )
    assert finished.returncode == 0, finished.stderr
    printed: dict[str, Any] = json.loads(finished.stdout)
    return printed


@pytest.mark.parametrize(
    ("event", "text"), [("text", "hello"), ("extended text", "see"), ("by phone", "hello")]
)
def test_messages_of_a_person_are_passed_on(made: dict[str, Any], event: str, text: str) -> None:
    assert made["events"][event] == [
        {
            "type": "Written",
            "provider_message_id": "3EB0",
            "account": PERSON,
            "text": text,
            "at": SENT_AT,
        }
    ]


def test_sender_without_a_number_is_left_for_lookup(made: dict[str, Any]) -> None:
    [told] = made["events"]["by lid alone"]
    assert (told["type"], told["lid"]) == ("WrittenByLid", PERSON["lid"])
    assert told["written"]["account"] == {"phone": None, "lid": PERSON["lid"]}


@pytest.mark.parametrize("event", ["image", "own", "group", "status", "channel", "edit"])
def test_all_other_messages_are_ignored(made: dict[str, Any], event: str) -> None:
    assert made["events"][event] == []


@pytest.mark.parametrize(
    ("event", "kind"), [("delivered", "delivered"), ("read", "read"), ("played", "read")]
)
def test_receipts_are_passed_on_for_each_message(
    made: dict[str, Any], event: str, kind: str
) -> None:
    expected = {"type": "Receipt", "kind": kind, "at": SENT_AT, "account": PERSON}
    ids = ("3EB0", "3EB1")
    assert made["events"][event] == [
        expected | {"provider_message_id": message_id} for message_id in ids
    ]


@pytest.mark.parametrize(
    "event", ["sender", "retry", "read by oneself", "own device", "in a group", "of a status"]
)
def test_receipts_of_other_kinds_are_ignored(made: dict[str, Any], event: str) -> None:
    assert made["events"][event] == []


def test_library_is_not_asked_for_a_phone_without_a_connection(made: dict[str, Any]) -> None:
    """It would abort the process."""
    assert made["phone"] is None


def test_library_never_logs_below_info(made: dict[str, Any]) -> None:
    """Its finest level prints the QR code's secret, and an unset level means the finest."""
    assert made["levels"] == {"silent": "ERROR", "error": "ERROR", "warn": "WARN", "info": "INFO"}


def test_only_one_file_imports_the_library() -> None:
    importing = re.compile(r"^\s*(from|import) neonize", re.MULTILINE)
    files = [path.name for path in SOURCES.rglob("*.py") if importing.search(path.read_text())]
    assert files == ["client.py"]
