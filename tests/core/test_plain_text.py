"""Sanitizing of texts from strangers."""

import pytest

from hudhud.core.plain_text import is_plain, shortened


@pytest.mark.parametrize("text", ["", "main-sandbox", "هدهد ١", "naïve 🙂", "a\u00a0b", "a\u200db"])
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert is_plain(text)
    assert shortened(text, 100) == text


@pytest.mark.parametrize(
    "sign", ["\0", "\n", "\x7f", "\x9f", "\ud800", "\u202e", "\u2066", "\u200f", "\u061c", "\u2028"]
)
def test_invisible_character_is_replaced(sign: str) -> None:
    assert not is_plain(f"a{sign}b")
    assert shortened(f"a{sign}b", 100) == "a\ufffdb"


def test_long_text_is_truncated_visibly() -> None:
    assert shortened("x" * 10, 10) == "x" * 10
    assert shortened("x" * 11, 10) == "x" * 9 + "…"
