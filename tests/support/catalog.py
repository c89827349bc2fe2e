"""The required content of the Arabic catalog: marked texts and all sentences."""

from pathlib import Path

from babel.messages.extract import extract_from_dir

import hudhud
from hudhud.core.english import ENGLISH, OTHER

WEB = Path(hudhud.__file__).parent / "web"
METHODS = [("pages/**.html", "jinja2.ext:babel_extract"), ("admin/**.py", "python")]
OPTIONS = {"pages/**.html": {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}}
# A text or its plural forms, and its context.
Message = tuple[str | tuple[str, ...], str | None]


def marked() -> set[Message]:
    """Return the texts that templates and code mark for translation."""
    found = extract_from_dir(WEB, METHODS, OPTIONS)
    return {(message, context) for _file, _line, message, _comments, context in found}


def sentences() -> set[Message]:
    """Return the English texts of the sentences."""
    return {(text, None) for code, text in ENGLISH.items() if code != OTHER}
