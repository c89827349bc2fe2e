"""On which lines the parts of a TOML document stand: tomllib reads values, but not their places."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]
"""The keys that lead to a value, and the numbers of items in lists."""

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_MARKS = re.compile(r"[\[,]")
_GAP = re.compile(r"(?:\s|#[^\n]*)*")


def lines_of(text: str) -> dict[Path, int]:
    """Return the line, from 1, on which each key begins, and each item of a list.

    A document is a row of statements, `[table]` or `key = value`, each of whole lines. A statement
    is over where the lines since the one before can be parsed by themselves.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    for first, statement in _statements(text):
        if not _parses(statement):
            break
        parsed = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _chain(parsed)[0]
            _add(found, table, first)
            continue
        for path in _paths(parsed):
            _add(found, table + path, first)
        for item, offset in _items(statement):
            _add(found, table + item, first + offset)
    return found


def line_of(found: dict[Path, int], path: Path) -> int:
    """Return the line of a value, or of what holds it where the value has none of its own."""
    while path and path not in found:
        path = path[:-1]
    return found.get(path, 1)


def syntax_error(text: str, error: tomllib.TOMLDecodeError) -> tuple[int, str]:
    """Return the line of an error of tomllib, and its sentence without the place.

    Where tomllib misses something up to the end of the document, such as a closing quote, it is
    told where its statement begins.
    """
    sentence = str(error)
    place = _PLACE.search(sentence)
    if place is not None and place[1]:
        return int(place[1]), sentence[: place.start()]
    *_, (first, _) = _statements(text)
    return first, f"{_PLACE.sub('', sentence)}, in what begins on this line"


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement, comment or empty line with its first line; last one without an end."""
    first = 1
    statement = ""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        statement += line
        if _parses(statement):
            yield first, statement
            first, statement = number + 1, ""
        else:
            statement += "\n"
    if statement:
        yield first, statement


def _items(text: str) -> Iterator[tuple[Path, int]]:
    """Yield the items of a statement's list, each with the line breaks before it.

    An item begins after a bracket or comma at which the list could be closed. One item too many is
    yielded where the last one is followed by a comma.
    """
    for mark in _MARKS.finditer(text):
        closed = text[: mark.end()] + "]"
        if _parses(closed):
            path, value = _chain(tomllib.loads(closed))
            gap = _GAP.match(text, mark.end())
            yield (*path, len(value)), text.count("\n", 0, gap.end() if gap else 0)


def _parses(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _chain(value: Any) -> tuple[Path, Any]:
    """Return the keys that lead, one in the other, to the value of a statement, and the value."""
    path: Path = ()
    while isinstance(value, dict) and len(value) == 1:
        ((key, value),) = value.items()
        path = (*path, key)
    return path, value


def _paths(value: Any) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (key,)
            yield from ((key, *path) for path in _paths(inner))


def _add(found: dict[Path, int], path: Path, line: int) -> None:
    for length in range(1, len(path) + 1):
        found.setdefault(path[:length], line)
