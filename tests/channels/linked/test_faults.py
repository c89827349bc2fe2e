"""The fault tables: complete, worded, documented and tested."""

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

from hudhud.channels.linked.faults import (
    FAULTS,
    NO_DEVICES,
    FaultName,
    Reaction,
    Refusal,
    class_refusal,
    meaning,
)

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "linked-channel.md"
ACCEPTANCE = ROOT / "tests" / "acceptance" / "test_linked_channel.py"


def document_rows() -> dict[str, tuple[str, str]]:
    """Return the last two columns of the tables by the first."""
    lines = re.findall(r"^\| `(\w+)` \|(.+)\|$", DOCUMENT.read_text(), re.MULTILINE)
    columns = {name: [cell.strip() for cell in cells.split("|")] for name, cells in lines}
    return {name: (cells[-2], cells[-1]) for name, cells in columns.items()}


def acceptance_tests() -> str:
    """Return the names and docstrings of the acceptance tests."""
    tests = [
        node
        for node in ast.parse(ACCEPTANCE.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    return "\n".join(f"{test.name} {ast.get_docstring(test) or ''}" for test in tests)


def test_every_fault_has_a_row() -> None:
    assert set(FAULTS) == set(get_args(FaultName))


@pytest.mark.parametrize("name", get_args(FaultName))
def test_sentence_gives_cause_and_consequence(name: FaultName) -> None:
    sentence = meaning(name, "DETAIL").english()
    assert sentence.count(". ") + sentence.count("; ") + sentence.count(", which") >= 1
    assert sentence.endswith((".", "hudhud doctor"))
    assert "{" not in sentence


def test_document_has_the_same_rows_states_and_reactions() -> None:
    rows = document_rows()
    told = {name: rows[name] for name in FAULTS}
    reactions = {
        Reaction.LET_REDIAL: "library redials, then reconnect",
        Reaction.RECONNECT: "reconnect, with backoff",
        Reaction.WAIT: "pause, then reconnect",
        Reaction.NEW_PROCESS: "pause, then new process",
        Reaction.UNLINK: "delete session, show new QR code",
    }
    meant = {name: (fault.state, reactions[fault.reaction]) for name, fault in FAULTS.items()}
    assert told == meant
    assert set(rows) == set(FAULTS) | {refusal.name.lower() for refusal in Refusal}


def test_every_row_has_an_acceptance_test_with_its_name() -> None:
    tests = acceptance_tests()
    names = [*FAULTS, *(refusal.name.lower() for refusal in Refusal if refusal.name != "OFFLINE")]
    assert [name for name in names if name not in tests] == []


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("no LID found for 19998887777@s.whatsapp.net from server", Refusal.NO_ACCOUNT),
        (NO_DEVICES, Refusal.NO_ACCOUNT),
        ("server returned error 463", Refusal.STRANGER),
        ("server returned error 4630", Refusal.OTHER),
        ("server returned error 420", Refusal.TOO_MUCH),
        ("server returned error 429", Refusal.TOO_MUCH),
        ("info query returned status 429: rate-overlimit", Refusal.TOO_MUCH),
        ("server returned error 400", Refusal.OTHER),
        ("server returned error 479", Refusal.OTHER),
        ("websocket not connected", Refusal.OFFLINE),
        ("client is nil", Refusal.OFFLINE),
        ("the store doesn't contain a device JID", Refusal.OFFLINE),
        ("websocket disconnected before message send returned response", Refusal.OTHER),
        ("info query timed out", Refusal.OTHER),
    ],
)
def test_library_errors_are_classified(text: str, refusal: Refusal) -> None:
    assert class_refusal(text) is refusal
