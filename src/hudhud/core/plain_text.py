"""Make untrusted text safe for lists, logs and the database.

PostgreSQL rejects NUL. Other control characters and Unicode's Bidi_Control break lines or make a
text look like another one.
"""

import re

# Cc, surrogates, line and paragraph separators, and the property Bidi_Control.
_ODD = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_REPLACEMENT = "\ufffd"
_MORE = "…"


def is_plain(text: str) -> bool:
    """Return whether the text has no control, separator or Bidi characters."""
    return _ODD.search(text) is None


def shortened(text: str, longest: int) -> str:
    """Cut text to `longest` characters and replace unsafe ones with U+FFFD."""
    cut = text if len(text) <= longest else text[: longest - 1] + _MORE
    return _ODD.sub(_REPLACEMENT, cut)
