"""What the messages say: several wordings a language, the code on a line of its own."""

import re
import secrets
from collections.abc import Callable

CODE = "{code}"
CODE_LINE = re.compile(rf"^{re.escape(CODE)}$", re.MULTILINE)

# Countries whose official language is Arabic (CLDR, territoryInfo).
ARABIC_SPEAKING = frozenset(
    "AE BH DJ DZ EG EH ER IQ JO KM KW LB LY MA MR OM PS QA SA SD SO SY TD TN YE".split()  # noqa: SIM905 -- one line reads better
)

WORDINGS: dict[str, tuple[str, ...]] = {
    "en": (
        "Your {brand} code:\n\n{code}\n\nIt works for {minutes}. Never share it with anyone.",
        "{brand} verification code\n\n{code}\n\nValid for {minutes}. "
        "If you did not ask for it, ignore this message.",
        "Here is your code for {brand}:\n\n{code}\n\n"
        "Use it within {minutes} and keep it to yourself.",
        "{code}\n\nThis is your {brand} code, good for {minutes}. "
        "Nobody from {brand} will ever ask you for it.",
    ),
    "ar": (
        "رمز {brand} الخاص بك:\n\n{code}\n\nصالح لمدة {minutes}. لا تشاركه مع أي شخص.",
        "رمز التحقق من {brand}\n\n{code}\n\nينتهي خلال {minutes}. إن لم تطلبه فتجاهل هذه الرسالة.",
        "إليك رمزك في {brand}:\n\n{code}\n\nاستخدمه خلال {minutes} واحتفظ به لنفسك.",
        "{code}\n\nهذا رمزك في {brand}، وهو صالح لمدة {minutes}. لن يطلبه منك أحد من {brand}.",
    ),
}


def locale_for(country: str, default: str) -> str:
    """Return the language for a country, `default` where the country does not tell."""
    return "ar" if country in ARABIC_SPEAKING else default


def render(locale: str, *, brand: str, ttl_seconds: int) -> str:
    """Return one of the language's wordings, complete but for `{code}`, chosen at random."""
    wording = secrets.choice(WORDINGS[locale])
    minutes = MINUTES[locale](max(1, ttl_seconds // 60))
    # The brand last: what it holds is shown as it is.
    return wording.replace("{minutes}", minutes).replace("{brand}", brand)


def with_code(body: str, code: str) -> str:
    """Put the code into its place, at the moment of sending and not before.

    Its place is a line of its own: a brand that is called `{code}` is left alone.
    """
    return CODE_LINE.sub(code, body)


def _english_minutes(count: int) -> str:
    return "1 minute" if count == 1 else f"{count} minutes"


def _arabic_minutes(count: int) -> str:
    """Count minutes by the Arabic plural rules of CLDR, in the case that the wordings need."""
    if count == 1:
        return "دقيقة واحدة"
    if count == 2:  # noqa: PLR2004 -- the dual
        return "دقيقتين"
    noun = "دقائق" if 3 <= count % 100 <= 10 else "دقيقة"  # noqa: PLR2004 -- CLDR's "few"
    return f"{count} {noun}"


MINUTES: dict[str, Callable[[int], str]] = {"en": _english_minutes, "ar": _arabic_minutes}
