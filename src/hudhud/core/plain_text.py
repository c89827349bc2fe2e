"""Texts that strangers typed: made harmless for a line of a list, a log or a database.

PostgreSQL stores no NUL; other control characters and Unicode's Bidi_Control break lines, or make
a text look like another one.
"""

import re

# Cc, surrogates, the separators of lines and paragraphs, and the property Bidi_Control.
_ODD = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_REPLACEMENT = "\ufffd"
_MORE = "…"


def is_plain(text: str) -> bool:
    """Tell whether the text holds nothing but signs that are seen as they are."""
    return _ODD.search(text) is None


def shortened(text: str, longest: int) -> str:
    """Return the text with at most `longest` characters, the odd ones replaced."""
    cut = text if len(text) <= longest else text[: longest - 1] + _MORE
    return _ODD.sub(_REPLACEMENT, cut)
