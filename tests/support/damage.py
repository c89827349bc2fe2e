"""Damage a database as a failing disk does."""

from pathlib import Path


def overwrite(file: Path, start: int = 0) -> None:
    """Fill a file with other bytes from `start`, in place."""
    with file.open("r+b") as opened:
        opened.seek(start)
        opened.write(b"\xa5" * (file.stat().st_size - start))
