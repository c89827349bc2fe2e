"""Sentences: a code and parameters, rendered as text for the reader.

The database stores code and parameters (`stored_sentences.py`). The API, webhooks, the command
line and logs use English, the dashboard uses the reader's language.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Union

from hudhud.core.english import ENGLISH, OTHER

# A parameter in a template.
HOLE = re.compile(r"\{(\w+)\}", re.ASCII)
# A parameter may itself be a sentence.
Value = Union[str, int, "Sentence"]


def holes(template: str) -> frozenset[str]:
    """Return the parameter names of a template."""
    return frozenset(HOLE.findall(template))


_HOLES: Mapping[str, frozenset[str]] = {code: holes(text) for code, text in ENGLISH.items()}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A code of `english.ENGLISH` and its parameters.

    Raises ValueError for an unknown code or wrong parameter names.
    """

    code: str
    params: Mapping[str, Value] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Check the code and the parameter names."""
        if _HOLES.get(self.code) != frozenset(self.params):
            raise ValueError(f"no sentence {self.code} with parameters {sorted(self.params)}")

    def english(self) -> str:
        """Return the English text."""
        return render(self, str, str)


def say(code: str, /, **params: Value) -> Sentence:
    """Create a sentence from its code and parameters."""
    return Sentence(code, params)


def other(text: str) -> Sentence:
    """Wrap a text that needs no translation as a sentence."""
    return Sentence(OTHER, {"text": text})


def render(
    sentence: Sentence, translate: Callable[[str], str], show: Callable[[object], str]
) -> str:
    """Translate a sentence's template and fill in values formatted by `show`."""
    values = {
        name: render(value, translate, show) if isinstance(value, Sentence) else show(value)
        for name, value in sentence.params.items()
    }
    return translate(ENGLISH[sentence.code]).format_map(values)
