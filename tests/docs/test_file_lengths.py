"""No source file is too long to read in one go."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_LINES = 400
# The schema is one concept.
LONGER = {ROOT / "src/hudhud/db/tables.py"}


def test_no_source_file_is_longer_than_400_lines() -> None:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "emulator/src").rglob("*.py")]
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert len(lengths) > 200
    assert {file for file, lines in lengths.items() if lines > MOST_LINES} == LONGER
