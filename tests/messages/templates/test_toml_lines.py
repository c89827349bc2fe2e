"""Where the parts of a TOML document stand."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudhud.messages.templates.toml_lines import line_of, lines_of, syntax_error

DOCUMENT = '''\
# first
title = "x"

[a.b]  # a table
one = 1
many = [
    "first",  # not "second"

    """
[not.a.table]
key = 1
""", "third",
    "fourth"]
inner.deep = { x = [1, 2], y = """
""" }
["quoted name".c]
text = \'\'\'
]\'\'\'
'''
LINES = {
    ("title",): 2,
    ("a",): 4,
    ("a", "b"): 4,
    ("a", "b", "one"): 5,
    ("a", "b", "many"): 6,
    ("a", "b", "many", 0): 7,
    ("a", "b", "many", 1): 9,
    ("a", "b", "many", 2): 12,
    ("a", "b", "many", 3): 13,
    ("a", "b", "inner"): 14,
    ("a", "b", "inner", "deep"): 14,
    ("a", "b", "inner", "deep", "x"): 14,
    ("a", "b", "inner", "deep", "y"): 14,
    ("quoted name",): 16,
    ("quoted name", "c"): 16,
    ("quoted name", "c", "text"): 17,
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_each_key_and_each_item_has_the_line_where_it_begins(newline: str) -> None:
    found = lines_of(DOCUMENT.replace("\n", newline))
    assert {path: found.get(path) for path in LINES} == LINES


def test_a_value_without_a_line_of_its_own_has_that_of_its_holder() -> None:
    found = lines_of(DOCUMENT)
    assert line_of(found, ("a", "b", "inner", "deep", "x", 1)) == 14
    assert line_of(found, ("nothing",)) == 1


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("a = 1\nb = \n", 2, "Invalid value"),
        ("a = 1\na = 2\n", 2, "Cannot overwrite a value"),
        ("[a]\n[b]\n[a]\n", 3, "Cannot declare ('a',) twice"),
        ("a = 1\n\nb = [\n'x'\n", 3, "Unclosed array, in what begins on this line"),
        ('a = 1\nb = """\nx\nc = 1\n', 2, "Unterminated string, in what begins on this line"),
        ('b = "x\n', 1, "Illegal character"),
        ("\na = ", 2, "Invalid value, in what begins on this line"),
    ],
)
def test_an_error_has_its_line(text: str, line: int, sentence: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as error:
        tomllib.loads(text)
    place, said = syntax_error(text, error.value)
    assert (place, said[: len(sentence)]) == (line, sentence)


values = st.sampled_from(['"x"', "1", '"""\n[x]\ny = [\n"""', "'''\n'''", '"]"', '{ a = "}" }'])
gaps = st.sampled_from(["", "\n", " # ] a remark\n", "\n\n"])


@given(st.lists(st.lists(st.tuples(gaps, values), min_size=1, max_size=4), max_size=4), st.data())
def test_items_are_found_in_any_arrangement(
    statements: list[list[tuple[str, str]]], data: st.DataObject
) -> None:
    text = ""
    expected: dict[tuple[int, int], int] = {}
    for number, items in enumerate(statements):
        text += data.draw(st.sampled_from(["", "\n", f"[table{number}]\n"]))
        text += f"key{number} = ["
        for place, (gap, value) in enumerate(items):
            text += gap
            expected[number, place] = text.count("\n") + 1
            text += value + ","
        text += "]\n"
    tomllib.loads(text)
    found = lines_of(text)
    for (number, place), line in expected.items():
        (path,) = [path for path in found if path[-1] == f"key{number}"]
        assert line_of(found, (*path, place)) == line
