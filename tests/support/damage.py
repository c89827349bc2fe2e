"""Damage a database as a failing disk does."""

from pathlib import Path


def overwrite(file: Path, start: int = 0, length: int | None = None) -> None:
    """Replace `length` bytes of a file from `start`, or all from there, in place."""
    with file.open("r+b") as opened:
        opened.seek(start)
        opened.write(b"\xa5" * (file.stat().st_size - start if length is None else length))
