"""Formats of times, durations, numbers and phones in the reader's view.

Digits are Latin in both languages, because codes, numbers and logs are compared with them.
"""

import json
import re
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

import phonenumbers
from babel import Locale
from babel.dates import format_date
from markupsafe import Markup
from sqlalchemy import Row

from hudhud.core.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from hudhud.core.english import OTHER
from hudhud.core.sentences import Sentence, Value
from hudhud.core.stored_sentences import stored
from hudhud.web.admin.ui.translate import translate
from hudhud.web.admin.ui.view import Language, View

# Shown in seconds with a decimal up to here, then in minutes and seconds.
LONGEST_DECIMAL_MS = 100 * SECOND_MS
SHORTEST_DECIMAL_MS = 100
UNITS_SHOWN = 2
# Above it, a share is rounded down: 99.96 % is not 100 %.
NEARLY_ALL = 0.999
NOTHING = Markup("–")
# The format of `clock.iso`.
_TIMESTAMP = re.compile(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
# A sample number for each plural form of Arabic and English (CLDR).
_SAMPLES = {"zero": 0, "one": 1, "two": 2, "few": 3, "many": 11, "other": 100}


class Format:
    """Formats for one view at one moment; `fmt` in templates."""

    def __init__(self, view: View, now: int) -> None:
        self.view = view
        self.now = now
        self.gettext = view.gettext
        self.ngettext = view.ngettext

    def fill(self, text: str, **values: object) -> Markup:
        """Insert escaped values into a translated text, which may contain HTML."""
        return Markup(text) % values  # noqa: S704 -- the text is from our code or catalog

    def moment(self, at: int | None, *, seconds: bool = True) -> Markup:
        """Format a time briefly, with the exact time on hover."""
        if at is None:
            return NOTHING
        return self._time(at, self._short(at, seconds=seconds))

    def day(self, at: int) -> Markup:
        """Format the day, e.g. `20 Nov`."""
        return self._time(at, _date(self._local(at).date(), "d MMM", self.view.language))

    def clock(self, at: int) -> Markup:
        """Format the time of day in milliseconds, after its day unless that is today."""
        local = self._local(at)
        return self._time(at, self._dated(local, f"{local:%H:%M:%S}.{at % SECOND_MS:03d}"))

    def hour_and_minute(self, at: int) -> str:
        """Format the time of day, e.g. `14:05`."""
        return f"{self._local(at):%H:%M}"

    def later(self, at: int | None, since: int) -> Markup:
        """Format the time since `since`, with the exact time on hover."""
        if at is None:
            return NOTHING
        lasted = max(0, at - since)  # earlier versions could store a delivery before its creation
        if lasted >= LONGEST_DECIMAL_MS:
            return self._time(at, Markup('<bdi dir="ltr">+</bdi>{}').format(self.span(lasted)))
        signed = Markup('<bdi dir="ltr">+{:.1f}</bdi>').format(lasted / SECOND_MS)
        return self._time(at, self.fill(self.gettext("%(number)s s"), number=signed))

    def ago(self, at: int) -> Markup:
        """Format how long ago it was; the script updates it."""
        return self._ticking("since", at, self.gettext("%(span)s ago"), self.now - at)

    def age(self, at: int) -> Markup:
        """Format how long it has lasted; the script updates it."""
        return self._ticking("since", at, "%(span)s", self.now - at)

    def left(self, until: int) -> Markup:
        """Format the remaining time; the script counts down."""
        return self._ticking("until", until, "%(span)s", until - self.now)

    def span(self, milliseconds: int) -> str:
        """Format a duration in two units, e.g. `3 min 40 s`."""
        rest = max(0, milliseconds)
        parts: list[str] = []
        for size, one, many in _UNITS:
            count, rest = divmod(rest, size)
            if count or (size == SECOND_MS and not parts):
                parts.append(self.ngettext(one, many, count) % {"num": count})
            elif parts:
                break
            if len(parts) == UNITS_SHOWN or (parts and size == DAY_MS):
                break
        return self._joined(parts)

    def seconds(self, milliseconds: float | None) -> str:
        """Format a duration in seconds without the unit, e.g. `2.1`; nothing takes `0.0`."""
        if milliseconds is None:
            return NOTHING
        return f"{max(milliseconds, SHORTEST_DECIMAL_MS) / SECOND_MS:,.1f}"

    def number(self, number: int | None) -> str:
        """Format a whole number; None is an en dash."""
        return NOTHING if number is None else f"{number:,}"

    def percent(self, share: float | None) -> str:
        """Format a share (0 to 1) in per cent, without the sign."""
        if share is None:
            return NOTHING
        tenths = int(share * 1000 + (0.5 if share < NEARLY_ALL else 0))
        return f"{tenths / 10:.0f}" if tenths % 10 == 0 else f"{tenths / 10:.1f}"

    def share(self, share: float | None) -> str:
        """Format a share (0 to 1) in per cent."""
        if share is None:
            return NOTHING
        return f"{self.percent(share)}%"

    def phone(self, number: str | None) -> Markup:
        """Format a phone number in groups, left to right in every language."""
        if number is None:
            return NOTHING
        return Markup('<bdi dir="ltr">{}</bdi>').format(_grouped(number))

    def country(self, number: str) -> str:
        """Return a phone number's country; empty if its code is shared."""
        return _country(number, self.view.language)

    def ltr(self, text: object) -> Markup:
        """Format a name, address or code left to right in every language."""
        return Markup('<bdi dir="ltr">{}</bdi>').format(text)

    def bold(self, text: object) -> Markup:
        """Format the subject of a sentence in bold."""
        return Markup("<b>{}</b>").format(text)

    def isolated(self, text: object) -> Markup:
        """Isolate a text of unknown direction from the sentence's direction."""
        return Markup('<bdi dir="auto">{}</bdi>').format(text)

    def sentence(self, sentence: Sentence | None) -> Markup:
        """Translate a sentence and its times; one without a code stays as it is."""
        if sentence is None:
            return Markup()
        if sentence.code == OTHER and self.view.language != "en":
            return Markup('<span lang="en" dir="ltr">{}</span>').format(sentence.english())
        params = {name: self._in_zone(value) for name, value in sentence.params.items()}
        shown = Sentence(sentence.code, params)
        return Markup("{}").format(translate(shown, self.view.language))

    def stored(self, row: Row[Any], column: str) -> Markup:
        """Translate the sentence stored in a row's column."""
        return self.sentence(stored(row, column))

    def units(self) -> str:
        """Return the units for the script's durations, like `span`, as JSON."""
        forms = {str(size): self._forms(one, many) for size, one, many in _UNITS}
        return json.dumps({"units": forms, "joined": self._join()}, ensure_ascii=False)

    def newer_jobs(self) -> str:
        """Return the script's text about newer jobs, by plural form, as JSON."""
        return json.dumps(self._forms(*_NEWER), ensure_ascii=False)

    def _forms(self, one: str, many: str) -> dict[str, str]:
        return {name: self.ngettext(one, many, sample) for name, sample in _SAMPLES.items()}

    def _join(self) -> str:
        # Translators: two parts of a duration, e.g. "3 min" and "40 s".
        return self.gettext("%(first)s %(second)s")

    def _joined(self, parts: list[str]) -> str:
        if len(parts) == 1:
            return parts[0]
        return self._join() % {"first": parts[0], "second": parts[1]}

    def _ticking(self, which: str, at: int, pattern: str, lasts: int) -> Markup:
        text = pattern % {"span": self.span(lasts)}
        if pattern == "%(span)s":
            return Markup('<span role="timer" data-{}="{}">{}</span>').format(which, at, text)
        return Markup('<span role="timer" data-{}="{}" data-pattern="{}">{}</span>').format(
            which, at, pattern, text
        )

    def _in_zone(self, value: Value) -> Value:
        """Write a parameter that is a timestamp as a time of the page."""
        if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value
        return self._short(round(moment.timestamp() * SECOND_MS), seconds=False)

    def _local(self, at: int) -> datetime:
        return datetime.fromtimestamp(at / SECOND_MS, UTC).astimezone(self.view.zone)

    def _short(self, at: int, *, seconds: bool) -> str:
        local = self._local(at)
        has_seconds = seconds and local.date() == self._local(self.now).date()
        return self._dated(local, f"{local:%H:%M:%S}" if has_seconds else f"{local:%H:%M}")

    def _dated(self, local: datetime, clock: str) -> str:
        today = self._local(self.now).date()
        if local.date() == today:
            return clock
        if local.date() == today - timedelta(days=1):
            return self.gettext("yesterday, %(clock)s") % {"clock": clock}
        pattern = "d MMM" if local.year == today.year else "d MMM y"
        day = _date(local.date(), pattern, self.view.language)
        return self.gettext("%(day)s, %(clock)s") % {"day": day, "clock": clock}

    def _time(self, at: int, text: str) -> Markup:
        local = self._local(at)
        exact = local.isoformat(timespec="milliseconds")
        day = _date(local.date(), "EEEE d MMMM y", self.view.language)
        return Markup('<time datetime="{}" title="{} {}">{}</time>').format(
            exact, day, f"{exact[11:23]} {exact[23:]}", text
        )


def _ngettext(one: str, many: str) -> tuple[str, str]:
    return one, many


# `ngettext` marks them for the catalog; `Format` translates them.
ngettext = _ngettext
_UNITS: tuple[tuple[int, str, str], ...] = (
    (DAY_MS, *ngettext("%(num)d day", "%(num)d days")),
    (HOUR_MS, *ngettext("%(num)d h", "%(num)d h")),
    (MINUTE_MS, *ngettext("%(num)d min", "%(num)d min")),
    (SECOND_MS, *ngettext("%(num)d s", "%(num)d s")),
)
_NEWER = ngettext("%(num)d newer job: show it", "%(num)d newer jobs: show them")


@lru_cache(maxsize=256)
def _date(day: date, pattern: str, language: Language) -> str:
    return format_date(day, pattern, locale=language)


@lru_cache(maxsize=4096)
def _grouped(number: str) -> str:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


@cache
def _territories(language: Language) -> dict[str, str]:
    return dict(Locale(language).territories)


@lru_cache(maxsize=4096)
def _country(number: str, language: Language) -> str:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ""
    region = phonenumbers.region_code_for_number(parsed)
    return _territories(language).get(region or "", "")
