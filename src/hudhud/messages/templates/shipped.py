"""The shipped texts, one file per language, and the placeholders in texts."""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import get_args

from hudhud.core.setting_types import Locale

CODE = "{code}"
CODE_LINE = re.compile(rf"^{re.escape(CODE)}$", re.MULTILINE)
TOKEN = "{token}"  # noqa: S105 -- a placeholder
BRAND = "{brand}"
MINUTES = "{minutes}"

CODE_PLACES = (CODE, BRAND, MINUTES)
LINK_PLACES = {
    "link_reply": (TOKEN, BRAND),
    "link_verify": (TOKEN, BRAND),
    "link_approved": (BRAND,),
    "link_refused": (BRAND,),
}
DEFAULT_TEMPLATE = "otp"

Texts = dict[str, dict[str, tuple[str, ...]]]
"""Wordings by name of the text and language, in its normal form (`locales.py`)."""

SHIPPED: tuple[Locale, ...] = get_args(Locale)


@cache
def shipped() -> Texts:
    """Return the shipped wordings by name of the text and language."""
    texts: Texts = {}
    for locale in SHIPPED:
        file = files(__package__) / "wordings" / f"{locale}.toml"
        for name, wordings in tomllib.loads(file.read_text(encoding="utf-8")).items():
            texts.setdefault(name, {})[locale] = tuple(wordings)
    return texts
