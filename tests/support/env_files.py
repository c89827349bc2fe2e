"""Settings read from an .env file."""

from pathlib import Path

import pytest

from hudhud.core.errors import SettingsError
from hudhud.core.settings import load_settings


def write_env(text: str, file: str = ".env") -> None:
    path = Path(file)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def refusal() -> str:
    """Return the one line with which the start stops."""
    with pytest.raises(SettingsError) as refused:
        load_settings()
    line = str(refused.value)
    assert "\n" not in line
    return line
