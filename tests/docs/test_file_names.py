"""Files named in backticks in the documents exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASES = (ROOT, ROOT / "src/hudhud")
FILE = re.compile(r"`([\w./-]+(?:\.(?:py|toml|po|md|html|txt|json)|/)|Makefile)`")


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_file_named_in_a_document_exists(document: str) -> None:
    named = set(FILE.findall((ROOT / document).read_text(encoding="utf-8")))
    assert named
    missing = {name for name in named if not any((base / name).exists() for base in BASES)}
    assert missing == set()
