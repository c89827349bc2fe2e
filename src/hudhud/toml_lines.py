"""On which lines the parts of a TOML document stand: tomllib reads values, but not their places."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]
"""The keys that lead to a value, and the numbers of items in lists."""

_PLACE = re.compile(r" \(at line (\d+), column \d+\)$")


def lines_of(text: str) -> dict[Path, int]:
    """Return the line, from 1, on which each key begins, and each item of a list of several lines.

    A document is a row of statements, `[table]` or `key = value`, each of whole lines. A statement
    is over where the lines since the one before can be parsed by themselves.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    for first, lines in _statements(text):
        parsed = tomllib.loads("\n".join(lines))
        if lines[0].lstrip().startswith("["):
            table = _chain(parsed)[0]
            _add(found, table, first)
            continue
        for path in _paths(parsed):
            _add(found, table + path, first)
        for item, offset in _items(lines):
            _add(found, table + item, first + offset)
    return found


def line_of(found: dict[Path, int], path: Path) -> int:
    """Return the line of a value, or of what holds it where the value has none of its own."""
    while path and path not in found:
        path = path[:-1]
    return found.get(path, 1)


def syntax_error(text: str, error: tomllib.TOMLDecodeError) -> tuple[int, str]:
    """Return the line of an error of tomllib, and its sentence without the place.

    An end that is missed (a quote or bracket that is never closed) is told where its statement
    begins: tomllib only says that the document was over.
    """
    sentence = str(error)
    place = _PLACE.search(sentence)
    if place is not None:
        return int(place[1]), sentence[: place.start()]
    *_, (first, _) = _pieces(text)
    return first, "what begins here has no end: a quote or a bracket is not closed"


def _statements(text: str) -> Iterator[tuple[int, list[str]]]:
    for first, lines in _pieces(text):
        if _parses("\n".join(lines)):
            yield first, lines


def _pieces(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each statement, comment or empty line with its first line; also one without an end."""
    first = 1
    lines: list[str] = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        lines.append(line)
        if _parses("\n".join(lines)):
            yield first, lines
            first, lines = number + 1, []
    if lines:
        yield first, lines


def _items(lines: list[str]) -> Iterator[tuple[Path, int]]:
    """Yield the items of a list of several lines, each with the lines before it.

    An item is over where a bracket could close the list.
    """
    known = begin = 0
    for end in range(1, len(lines) + 1):
        part = "\n".join(lines if end == len(lines) else [*lines[:end], "]"])
        if not _parses(part):
            continue
        path, value = _chain(tomllib.loads(part))
        if isinstance(value, list):
            for number in range(known, len(value)):
                yield (*path, number), begin
            known = len(value)
        begin = end


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
