"""Tokens of links: unguessable, easy to copy, found in any text."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudhud.verification.links import tokens
from hudhud.verification.links.tokens import ALPHABET, DIGITS, GROUPS, LETTERS, MOST_IN_A_TEXT

new_tokens = st.builds(tokens.new_token)
anything = st.text(max_size=60)
# Characters that neither belong to a token nor join two of them.
around = st.text(st.characters(exclude_characters=ALPHABET + ALPHABET.lower()), max_size=30)


def test_a_token_has_at_least_40_random_bits() -> None:
    signs = sum(GROUPS)
    one_kind = len(LETTERS) ** signs + len(DIGITS) ** signs
    assert math.log2(len(ALPHABET) ** signs - one_kind) > 46


def test_token_has_no_ambiguous_characters() -> None:
    for alike in ("0OQ", "1IL", "2Z", "5S", "6G", "8B", "UV"):
        assert len(set(alike) & set(ALPHABET)) <= 1, alike


@given(new_tokens)
def test_a_token_is_written_in_groups(token: str) -> None:
    assert re.fullmatch(r"[A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{2}", token)
    assert tokens.looks_like_one(token)


@given(new_tokens, around, around)
def test_a_token_is_found_in_any_text(token: str, before: str, after: str) -> None:
    text = f"{before} {token} {after}"
    assert tokens.find(text) == [tokens.canonical(token)]


@given(new_tokens)
def test_token_is_found_in_lowercase_and_without_dashes(token: str) -> None:
    wanted = [tokens.canonical(token)]
    assert tokens.find(token.lower()) == wanted
    assert tokens.find(token.replace("-", "")) == wanted
    assert tokens.find(f"({token}).") == wanted


@pytest.mark.parametrize("dash", ["\u2010", "\u2011", "\u2013", "\u2014", "\u2212", "\u00ad"])
def test_token_is_found_with_other_kinds_of_dashes(dash: str) -> None:
    assert tokens.find(f"K7MX{dash}4RTD{dash}9C") == ["K7MX4RTD9C"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "WELL-MADE-AX",  # a token has digits
        "2345-6789-22",  # a token has letters
        "K7MX-4RTD-9C4",
        "XK7MX-4RTD-9C",
        "K7MX 4RTD 9C",  # three words may look like a token
        "K7MX--4RTD-9C",
        "K7MO-4RTD-9C",
        "\u212a7MX-4RTD-9C",  # the Kelvin sign
        "\uff2b7MX-4RTD-9C",
    ],
)
def test_text_that_only_resembles_a_token_is_ignored(text: str) -> None:
    assert tokens.find(text) == []
    assert not tokens.looks_like_one(text)


def test_text_without_dashes_is_tried_but_does_not_look_like_a_token() -> None:
    assert tokens.find("order K7MX4RTD9C") == ["K7MX4RTD9C"]
    assert not tokens.looks_like_one("order K7MX4RTD9C")


def test_number_of_tokens_tried_per_text_is_bounded() -> None:
    text = " ".join(tokens.new_token() for _ in range(10 * MOST_IN_A_TEXT))
    assert len(tokens.find(text)) == MOST_IN_A_TEXT


def test_repeated_token_is_found_once() -> None:
    assert tokens.find("K7MX-4RTD-9C k7mx4rtd9c") == ["K7MX4RTD9C"]


@given(anything)
def test_any_text_can_be_searched(text: str) -> None:
    for token in tokens.find(text):
        assert set(token) <= set(ALPHABET)
