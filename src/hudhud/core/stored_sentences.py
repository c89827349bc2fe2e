"""Sentences in rows: columns for English text, code and parameters.

For `error` these are `error_code` and `error_params` (JSON). For one release the English text is
stored as well, because the previous version reads and writes only that. A mark among the
parameters is a hash of their text: if the previous version changed the text, the mark no longer
matches, and the text counts.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

from hudhud.core.sentences import Sentence, Value, other

# No template has a parameter of this name.
MARK: Final = "_of"
MARK_DIGITS = 8


def columns(
    column: str, sentence: Sentence | None, text: str | None = None
) -> dict[str, str | None]:
    """Return the values of a sentence's columns; `text` overrides the English text."""
    if sentence is None:
        return {column: None, f"{column}_code": None, f"{column}_params": None}
    stored = sentence.english() if text is None else text
    params = {**_plain(sentence.params), MARK: mark(stored)}
    return {column: stored, f"{column}_code": sentence.code, f"{column}_params": _encode(params)}


def stored(row: object, column: str) -> Sentence | None:
    """Return the sentence in a row's column, or its text without code."""
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
    """Return the English text of a row's sentence."""
    sentence = stored(row, column)
    return None if sentence is None else sentence.english()


def encoded(sentence: Sentence) -> str | None:
    """Return the parameters as JSON, or None if there are none."""
    return _encode(_plain(sentence.params)) if sentence.params else None


def decoded_text(code: str, params: str | None) -> Sentence | None:
    """Return the sentence of a code and its JSON parameters."""
    return decoded(code, {} if params is None else _parsed(params))


def decoded(code: str, params: Mapping[str, Any]) -> Sentence | None:
    """Return the sentence, or None if only a newer version knows it."""
    try:
        return Sentence(code, {name: _value(value) for name, value in params.items()})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def texts_in(params: str) -> Iterator[str]:
    """Yield the texts in a row's parameters, or all of invalid JSON."""
    found = _parsed(params)
    return _texts_of(found) if found else iter((params,))


def replaced(params: str, replace: Callable[[str], str]) -> str:
    """Apply `replace` to each text in a row's parameters."""
    found = _parsed(params)
    return _encode(_replaced(found, replace)) if found else replace(params)


def with_mark(params: str, *, before: str, now: str) -> str:
    """Update the parameters' mark for the text `now` if it matched `before`."""
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
    """Return the mark of a text as the database stores it."""
    return sha256(_kept(text)).hexdigest()[:MARK_DIGITS]


def _kept(text: str) -> bytes:
    """Encode a text as the database stores it; must match `db.tables.storable`."""
    return text.replace("\0", "").encode("utf-8", "replace")


def _plain(params: Mapping[str, Value]) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in params.items()}


def _plain_value(value: Value) -> Any:
    if isinstance(value, Sentence):
        return {"code": value.code, "params": _plain(value.params)}
    return _kept(value).decode() if isinstance(value, str) else value


def _parsed(params: str) -> dict[str, Any]:
    """Parse the parameters; anything but a JSON object has none."""
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
