"""A sentence as a code and its parameters; its text is made where it is read.

The database keeps code and parameters (`stored_sentences.py`). The API, webhooks, the command line
and logs say it in English, the dashboard in the reader's language.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Union

from hudhud.core.english import ENGLISH, OTHER

# Where a template takes a parameter.
HOLE = re.compile(r"\{(\w+)\}", re.ASCII)
# A parameter may be a sentence of its own.
Value = Union[str, int, "Sentence"]


def holes(template: str) -> frozenset[str]:
    """Return the names of the parameters that a template takes."""
    return frozenset(HOLE.findall(template))


_HOLES: Mapping[str, frozenset[str]] = {code: holes(text) for code, text in ENGLISH.items()}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A code of `english.ENGLISH`, and a value for each hole of its text.

    Raises ValueError where there is no such code, or it takes other parameters.
    """

    code: str
    params: Mapping[str, Value] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Check that it can be said."""
        if _HOLES.get(self.code) != frozenset(self.params):
            raise ValueError(f"no sentence {self.code} with parameters {sorted(self.params)}")

    def english(self) -> str:
        """Return its text in English."""
        return render(self, str, str)


def say(code: str, /, **params: Value) -> Sentence:
    """Return the sentence of a code with these parameters."""
    return Sentence(code, params)


def other(text: str) -> Sentence:
    """Return a sentence without a code of its own: a text that is the same in every language."""
    return Sentence(OTHER, {"text": text})


def render(
    sentence: Sentence, translate: Callable[[str], str], show: Callable[[object], str]
) -> str:
    """Return the sentence's text: its template translated, its values as `show` writes them."""
    values = {
        name: render(value, translate, show) if isinstance(value, Sentence) else show(value)
        for name, value in sentence.params.items()
    }
    return translate(ENGLISH[sentence.code]).format_map(values)
