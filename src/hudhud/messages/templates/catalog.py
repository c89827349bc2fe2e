"""Choose and fill wordings: messages with codes, and the texts of links.

`{code}` has a line of its own and is replaced only when the message is sent.
"""

import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import structlog

from hudhud.core.errors import BadRequest, SettingsError
from hudhud.core.plain_text import shortened
from hudhud.messages.templates import locales
from hudhud.messages.templates.operator_file import KeyTexts, TemplatesFile, read
from hudhud.messages.templates.shipped import (
    BRAND,
    CODE_LINE,
    DEFAULT_TEMPLATE,
    LINK_PLACES,
    MINUTES,
    TOKEN,
    shipped,
)

FILE = "templates.toml"
LOOK_SECONDS = 1.0
LONGEST_SHOWN = 40
SECONDS_PER_MINUTE = 60

LinkMode = Literal["reply", "verify"]
LinkText = Literal["link_reply", "link_verify", "link_approved", "link_refused"]

NO_TEXTS = KeyTexts()

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


def with_code(body: str, code: str) -> str:
    """Replace `{code}`, where it is alone on a line, with the code.

    Called only when the message is sent. Other text in braces is left unchanged.
    """
    return CODE_LINE.sub(code, body)


class Templates:
    """Wordings of this installation, including `templates.toml` in the data folder.

    The file is checked for changes at most every `look_seconds` and reloaded; while it has
    mistakes, the last valid version stays in use. An invalid file at the start raises
    SettingsError, unless `tolerant`: then the shipped texts are used until it is corrected. A
    sender's process is tolerant, because it may restart while the file is being edited.
    """

    def __init__(
        self,
        folder: Path,
        *,
        brand: str,
        default_locale: str,
        tolerant: bool = False,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._file = folder / FILE
        self._brand = brand
        self._default_locale = default_locale
        self._look_seconds = look_seconds
        self._look_at = time.monotonic() + look_seconds
        self._version = _version(self._file)
        self._in_force = self._put_together(TemplatesFile())
        self._read(tolerant=tolerant)

    def choose_locale(self, phone_country: str, wanted: str | None, key_name: str | None) -> str:
        """Return the language of the request, else of key, country or default.

        `pt-BR` falls back to `pt` if it has no texts of its own. If that has none either, the
        choice is the same as without a requested language.
        """
        return self._now().choose_locale(phone_country, wanted, key_name)

    def render(
        self, template: str | None, locale: str, *, key_name: str | None, ttl_seconds: int
    ) -> tuple[str, str]:
        """Return the template's name and a random wording, complete except for `{code}`.

        The template defaults to the key's, else to `otp`. If it has no wordings in that language,
        those of DEFAULT_LOCALE are used, else those of its first language.
        Raises BadRequest (`unknown_template`) if the template does not exist.
        """
        name, wordings = self.code_texts(
            template, locale, key_name=key_name, ttl_seconds=ttl_seconds
        )
        return name, secrets.choice(wordings)

    def code_texts(
        self, template: str | None, locale: str, *, key_name: str | None, ttl_seconds: int
    ) -> tuple[str, tuple[str, ...]]:
        """Return the template's name and all wordings that `render` chooses from."""
        now = self._now()
        name = template or now.key(key_name).template or DEFAULT_TEMPLATE
        if name in LINK_PLACES or name not in now.texts:
            raise BadRequest(
                f"There is no template {shortened(name, LONGEST_SHOWN)}.", "unknown_template"
            )
        return name, now.wordings(name, locale, key_name, max(1, ttl_seconds // SECONDS_PER_MINUTE))

    def link_text(self, mode: LinkMode, locale: str, *, key_name: str | None, token: str) -> str:
        """Return the prefilled text of a link, which the person sends."""
        name: LinkText = "link_verify" if mode == "verify" else "link_reply"
        return secrets.choice(self.link_texts(name, locale, key_name=key_name, token=token))

    def approved_text(self, locale: str, *, key_name: str | None) -> str:
        """Return the confirmation of an approval by link."""
        return secrets.choice(self.link_texts("link_approved", locale, key_name=key_name))

    def refused_text(self, locale: str, *, key_name: str | None) -> str:
        """Return the answer to an unknown, used or expired token."""
        return secrets.choice(self.link_texts("link_refused", locale, key_name=key_name))

    def link_texts(
        self, name: LinkText, locale: str, *, key_name: str | None, token: str = TOKEN
    ) -> tuple[str, ...]:
        """Return all wordings of one of the link's texts."""
        wordings = self._now().wordings(name, locale, key_name, minutes=0)
        return tuple(wording.replace(TOKEN, token) for wording in wordings)

    def _now(self) -> "_InForce":
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + self._look_seconds
            self._look()
        return self._in_force

    def _look(self) -> None:
        version = _version(self._file)
        if version != self._version:
            self._version = version
            self._read(tolerant=True)

    def _read(self, *, tolerant: bool) -> None:
        try:
            own = read(self._file)
        except SettingsError as error:
            if not tolerant:
                raise
            problems = str(error).splitlines()
            log.warning(
                "templates.toml has mistakes; the previous texts stay in use", problems=problems
            )
        else:
            self._in_force = self._put_together(own)

    def _put_together(self, own: TemplatesFile) -> "_InForce":
        texts = {name: dict(by_locale) for name, by_locale in shipped().items()}
        for name, by_locale in own.texts.items():
            texts.setdefault(name, {}).update(by_locale)
        known = frozenset(locale for by_locale in texts.values() for locale in by_locale)
        return _InForce(texts, own.keys, known, self._brand, self._default_locale)


@dataclass(frozen=True, slots=True)
class _InForce:
    """The texts in use: shipped ones, overridden by those of the file.

    `filled` caches finished wordings by text, language, brand and minutes.
    """

    texts: dict[str, dict[str, tuple[str, ...]]]
    keys: dict[str, KeyTexts]
    known: frozenset[str]
    brand: str
    default_locale: str
    filled: dict[tuple[str, str, str, int], tuple[str, ...]] = field(default_factory=dict)

    def key(self, name: str | None) -> KeyTexts:
        """Return the file's settings for an API key."""
        return self.keys.get(name or "", NO_TEXTS)

    def choose_locale(self, country: str, wanted: str | None, key_name: str | None) -> str:
        """See Templates."""
        choices = (wanted, self.key(key_name).locale or locales.language_of(country))
        found = (locales.closest(choice, self.known) for choice in choices if choice)
        return next(filter(None, found), self.default_locale)

    def wordings(
        self, name: str, locale: str, key_name: str | None, minutes: int
    ) -> tuple[str, ...]:
        """Return a text's wordings, complete except for the code or token."""
        brand = self.key(key_name).brand or self.brand
        filled = self.filled.get((name, locale, brand, minutes))
        if filled is None:
            spoken = self._spoken(name, locale)
            filled = tuple(
                _fill(wording, spoken, brand, minutes) for wording in self.texts[name][spoken]
            )
            self.filled[name, locale, brand, minutes] = filled
        return filled

    def _spoken(self, name: str, locale: str) -> str:
        """Return a language in which the text has wordings, preferably `locale`."""
        by_locale = self.texts[name]
        known = locales.closest(locale, by_locale)
        if known is not None:
            return known
        return self.default_locale if self.default_locale in by_locale else next(iter(by_locale))


def _version(file: Path) -> tuple[int, int] | None:
    """Return the file's modification time and size; None if not accessible."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _fill(wording: str, locale: str, brand: str, minutes: int) -> str:
    if MINUTES in wording:
        wording = wording.replace(MINUTES, locales.minutes(locale, minutes))
    # The brand last, so that placeholders in it are not replaced.
    return wording.replace(BRAND, brand)
