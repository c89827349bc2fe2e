"""How a row keeps a sentence: its English text in a column, code and parameters in two more.

For `error` these are `error_code` and `error_params`, JSON. For one release the English text is
written as well, because the version before this one reads and writes it alone. A mark among the
parameters names the text that they belong to: where that version has changed the text, the mark
does not fit, and the text holds.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

from hudhud.core.sentences import Sentence, Value, other

# No template has a hole of this name.
MARK: Final = "_of"
MARK_DIGITS = 8


def columns(
    column: str, sentence: Sentence | None, text: str | None = None
) -> dict[str, str | None]:
    """Return the values of a sentence's three columns; `text` replaces the full English text."""
    if sentence is None:
        return {column: None, f"{column}_code": None, f"{column}_params": None}
    stored = sentence.english() if text is None else text
    params = {**_plain(sentence.params), MARK: mark(stored)}
    return {column: stored, f"{column}_code": sentence.code, f"{column}_params": _encode(params)}


def stored(row: object, column: str) -> Sentence | None:
    """Return the sentence in a row's column; a row without a code says its text."""
    text: str | None = getattr(row, column)
    if text is None:
        return None
    code: str | None = getattr(row, f"{column}_code")
    params: str | None = getattr(row, f"{column}_params")
    if code is None or params is None:
        return other(text)
    found = _parsed(params)
    if found.pop(MARK, None) != mark(text):
        return other(text)
    return decoded(code, found) or other(text)


def in_english(row: object, column: str) -> str | None:
    """Return the English text of the sentence in a row's column."""
    sentence = stored(row, column)
    return None if sentence is None else sentence.english()


def encoded(sentence: Sentence) -> str | None:
    """Return the parameters as JSON, None for none."""
    return _encode(_plain(sentence.params)) if sentence.params else None


def decoded_text(code: str, params: str | None) -> Sentence | None:
    """Return the sentence of a code and what `encoded` returned."""
    return decoded(code, {} if params is None else _parsed(params))


def decoded(code: str, params: Mapping[str, Any]) -> Sentence | None:
    """Return the sentence; None for a code or parameters of a newer version."""
    try:
        return Sentence(code, {name: _value(value) for name, value in params.items()})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def texts_in(params: str) -> Iterator[str]:
    """Yield each text among a row's parameters; all of it where it is no JSON object."""
    found = _parsed(params)
    return _texts_of(found) if found else iter((params,))


def replaced(params: str, replace: Callable[[str], str]) -> str:
    """Return a row's parameters with each text changed by `replace`."""
    found = _parsed(params)
    return _encode(_replaced(found, replace)) if found else replace(params)


def with_mark(params: str, *, before: str, now: str) -> str:
    """Let the mark of a row's parameters follow its text from `before` to `now`, if it fitted."""
    found = _parsed(params)
    return _encode({**found, MARK: mark(now)}) if found.get(MARK) == mark(before) else params


def _texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name != MARK:
                yield from _texts_of(inner)
    elif isinstance(value, str):
        yield value


def _replaced(value: Any, replace: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {
            name: inner if name == MARK else _replaced(inner, replace)
            for name, inner in value.items()
        }
    return replace(value) if isinstance(value, str) else value


def mark(text: str) -> str:
    """Return the mark of a text, as the database keeps it."""
    return sha256(_kept(text)).hexdigest()[:MARK_DIGITS]


def _kept(text: str) -> bytes:
    """Return what a database takes of a text, as `db.tables.storable` does."""
    return text.replace("\0", "").encode("utf-8", "replace")


def _plain(params: Mapping[str, Value]) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in params.items()}


def _plain_value(value: Value) -> Any:
    if isinstance(value, Sentence):
        return {"code": value.code, "params": _plain(value.params)}
    return _kept(value).decode() if isinstance(value, str) else value


def _parsed(params: str) -> dict[str, Any]:
    """Return the parameters; none where the column holds no JSON object."""
    try:
        found = json.loads(params)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _encode(params: Mapping[str, Any]) -> str:
    return json.dumps(params, ensure_ascii=False)


def _value(value: Any) -> Value:
    if isinstance(value, dict):
        return Sentence(value["code"], {name: _value(one) for name, one in value["params"].items()})
    if isinstance(value, str | int):
        return value
    raise TypeError
