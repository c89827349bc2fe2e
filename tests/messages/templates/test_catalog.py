"""The message texts: shipped wordings, their composition, choice and reloading."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from structlog.testing import capture_logs

from conftest import settings
from hudhud.core.errors import BadRequest, SettingsError
from hudhud.core.plain_text import is_plain
from hudhud.messages.templates.catalog import LOOK_SECONDS, LinkMode, LinkText, Templates, with_code
from hudhud.messages.templates.shipped import CODE, LINK_PLACES, SHIPPED, TOKEN, shipped
from hudhud.verification.build import build_templates

# Enough draws that each of a few wordings appears.
MANY = 200
SHORT = 400
EVERY_CODE_TEXT = [(locale, wording) for locale in SHIPPED for wording in shipped()["otp"][locale]]
EVERY_LINK_TEXT = [
    (name, locale, wording)
    for name in LINK_PLACES
    for locale in SHIPPED
    for wording in shipped()[name][locale]
]
# The phrase of each language that forbids sharing the code.
NEVER_SHARE = {
    "ar": r"لا تشاركه",
    "de": r"Geben Sie ihn an niemanden weiter|nicht weiter",
    "en": r"[Nn]ever share|not share",
    "es": r"[Nn]o lo comparta",
    "fa": r"در اختیار هیچ‌کس قرار ندهید",
    "fr": r"[Nn]e le communiquez à personne",
    "hi": r"किसी को न बताएँ",
    "id": r"Jangan berikan kepada siapa pun",
    "pt": r"[Nn]ão o compartilhe",
    "ru": r"Никому его не сообщайте",
    "tr": r"[Kk]imseyle paylaşmayın",
    "ur": r"کسی کو نہ بتائیں",
}
MINUTES = {
    "ar": ["دقيقة", "دقيقتان", "3 دقائق", "5 دقائق", "11 دقيقة", "21 دقيقة", "100 دقيقة"],
    "de": ["1 Minute"] + [f"{count} Minuten" for count in (2, 3, 5, 11, 21, 100)],
    "en": ["1 minute"] + [f"{count} minutes" for count in (2, 3, 5, 11, 21, 100)],
    "es": ["1 minuto"] + [f"{count} minutos" for count in (2, 3, 5, 11, 21, 100)],
    "fa": [f"{count} دقیقه" for count in (1, 2, 3, 5, 11, 21, 100)],
    "fr": ["1 minute"] + [f"{count} minutes" for count in (2, 3, 5, 11, 21, 100)],
    "hi": [f"{count} मिनट" for count in (1, 2, 3, 5, 11, 21, 100)],
    "id": [f"{count} menit" for count in (1, 2, 3, 5, 11, 21, 100)],
    "pt": ["1 minuto"] + [f"{count} minutos" for count in (2, 3, 5, 11, 21, 100)],
    "ru": ["1 минута", "2 минуты", "3 минуты", "5 минут", "11 минут", "21 минута", "100 минут"],
    "tr": [f"{count} dakika" for count in (1, 2, 3, 5, 11, 21, 100)],
    "ur": [f"{count} منٹ" for count in (1, 2, 3, 5, 11, 21, 100)],
}
OWN = '''
[templates.otp.en]
wordings = ["""
Own {brand}:
{code}
{minutes}
"""]

[templates.shop.ar]
wordings = ["{code}\\nمتجر {brand}"]

[templates.shop.it]
wordings = ["{code}\\n{brand}, {minutes}"]

[templates.link_reply.en]
wordings = ["Hello, this is {token}"]

[templates.otp.pt-PT]
wordings = ["{code}\\nPT"]

[keys.webshop]
template = "shop"
brand = "Web Shop"
locale = "IT"
'''

Make = Callable[..., Templates]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Create the texts of an installation, optionally with a custom file."""

    def build(
        own: str | None = None,
        *,
        tolerant: bool = False,
        look_seconds: float = LOOK_SECONDS,
        **changes: object,
    ) -> Templates:
        if own is not None:
            (tmp_path / "templates.toml").write_text(own, encoding="utf-8")
        return build_templates(
            settings(data_dir=tmp_path, **changes), tolerant=tolerant, look_seconds=look_seconds
        )

    return build


def rendered(
    texts: Templates, locale: str, *, template: str | None = None, ttl: int = 300
) -> set[str]:
    return {texts.render(template, locale, key_name=None, ttl_seconds=ttl)[1] for _ in range(MANY)}


def test_shipped_languages_are_those_of_the_settings() -> None:
    assert len(SHIPPED) == 12
    assert {tuple(sorted(by_locale)) for by_locale in shipped().values()} == {SHIPPED}
    assert set(shipped()) == {"otp", *LINK_PLACES}
    assert set(get_args(LinkText)) == set(LINK_PLACES)


@pytest.mark.parametrize("locale", SHIPPED)
def test_each_language_has_several_different_wordings(locale: str) -> None:
    wordings = shipped()["otp"][locale]
    assert len(set(wordings)) == len(wordings) >= 4


@pytest.mark.parametrize(("locale", "wording"), EVERY_CODE_TEXT)
def test_wording_has_the_code_once_in_the_first_two_lines(locale: str, wording: str) -> None:
    assert wording.count(CODE) == 1, locale
    assert CODE in wording.split("\n")[:2]


@pytest.mark.parametrize(("locale", "wording"), EVERY_CODE_TEXT)
def test_wording_is_short_complete_and_never_asks_to_tap_or_share(
    locale: str, wording: str
) -> None:
    assert "{brand}" in wording
    assert wording.count("{minutes}") == 1
    assert re.search(NEVER_SHARE[locale], wording)
    assert not re.search(r"https?:|www\.|wa\.me", wording)
    assert len(wording) <= SHORT / 2
    assert wording == wording.strip()


@pytest.mark.parametrize(("name", "locale", "wording"), EVERY_LINK_TEXT)
def test_link_text_holds_the_brand_and_its_required_parts(
    name: str, locale: str, wording: str
) -> None:
    assert "{brand}" in wording, locale
    assert wording.count(TOKEN) == (TOKEN in LINK_PLACES[name])
    assert wording.split("\n").count(TOKEN) == wording.count(TOKEN)
    assert len(wording) <= SHORT / 2
    assert wording == wording.strip()


@pytest.mark.parametrize("locale", ["ar", "fa", "ur"])
def test_no_right_to_left_line_begins_with_the_brand(locale: str) -> None:
    for by_locale in shipped().values():
        lines = [line for wording in by_locale[locale] for line in wording.split("\n")]
        assert not any(line.startswith("{brand}") for line in lines)


@pytest.mark.parametrize("locale", SHIPPED)
def test_text_is_complete_except_for_the_code(make: Make, locale: str) -> None:
    texts = make(brand_name="Acme")
    bodies = rendered(texts, locale)
    assert len(bodies) == len(shipped()["otp"][locale])
    for body in bodies:
        assert "Acme" in body
        assert not re.search(r"[{}]", body.replace(CODE, ""))
        assert with_code(body, "0345").split("\n").count("0345") == 1


@pytest.mark.parametrize("locale", SHIPPED)
def test_the_texts_of_the_link_are_complete(make: Make, locale: str) -> None:
    texts = make(brand_name="Acme")
    said = [
        texts.link_text("reply", locale, key_name=None, token="ABCD-2345-XY"),
        texts.link_text("verify", locale, key_name=None, token="ABCD-2345-XY"),
        texts.approved_text(locale, key_name=None),
        texts.refused_text(locale, key_name=None),
    ]
    assert ["ABCD-2345-XY" in text.split("\n") for text in said] == [True, True, False, False]
    assert all("Acme" in text and not re.search(r"[{}]", text) for text in said)


@pytest.mark.parametrize("locale", SHIPPED)
def test_minutes_use_the_plural_of_the_language(make: Make, locale: str) -> None:
    texts = make(brand_name="Acme")
    for count, words in zip((1, 2, 3, 5, 11, 21, 100), MINUTES[locale], strict=True):
        for body in rendered(texts, locale, ttl=count * 60):
            assert re.search(rf"(^|\s){words}(\W|$)", body), (words, body)


@pytest.mark.parametrize("seconds", [5, 59, 60, 119])
def test_less_than_two_minutes_are_written_as_one(make: Make, seconds: int) -> None:
    assert all(" 1 minute" in body for body in rendered(make(), "en", ttl=seconds))


@pytest.mark.parametrize("brand", ["{minutes}", "{brand}", "{", "}{", "{0}", "%s", r"\1"])
@pytest.mark.parametrize("locale", SHIPPED)
def test_brand_with_braces_is_shown_literally(make: Make, locale: str, brand: str) -> None:
    for body in rendered(make(brand_name=brand), locale):
        text = with_code(body, "0345")
        assert brand in text
        assert text.split("\n").count("0345") == 1


pieces = st.sampled_from(["{", "}", "code", "{code}", "{token}", "{brand}", "\n", " ", "a"])
brands = st.lists(pieces).map("".join)


@given(st.one_of(st.text(max_size=60), brands), st.sampled_from(SHIPPED))
def test_any_accepted_brand_leaves_the_code_on_its_own_line(brand: str, locale: str) -> None:
    try:
        chosen = settings(data_dir=Path("none"), brand_name=brand)
    except ValidationError:
        refused = not 0 < len(brand.strip()) <= 60 or not is_plain(brand.strip())
        assert refused or CODE in brand or TOKEN in brand
        return
    texts = build_templates(chosen)
    text = with_code(texts.render(None, locale, key_name=None, ttl_seconds=60)[1], "0345")
    assert text.split("\n").count("0345") == 1
    assert brand.strip() in text
    modes: tuple[LinkMode, ...] = get_args(LinkMode)
    for mode in modes:
        sent = texts.link_text(mode, locale, key_name=None, token="ABCD-2345-XY")
        assert sent.count("ABCD-2345-XY") == 1


@pytest.mark.parametrize(
    ("country", "default", "locale"),
    [
        ("EG", "en", "ar"), ("SA", "en", "ar"), ("MA", "en", "ar"), ("FR", "en", "fr"),
        ("DE", "en", "de"), ("BR", "en", "pt"), ("MX", "en", "es"), ("PE", "en", "es"),
        ("TR", "en", "tr"), ("ID", "en", "id"), ("IR", "en", "fa"), ("RU", "en", "ru"),
        ("PK", "en", "ur"), ("GB", "ar", "en"),
        ("US", "en", "en"), ("US", "ar", "ar"), ("IN", "ar", "ar"), ("CH", "ar", "ar"),
        ("CA", "ar", "ar"), ("KZ", "ar", "ar"), ("IT", "ar", "ar"), ("001", "en", "en"),
        ("ZZ", "ar", "ar"), ("", "tr", "tr"),
    ],
)  # fmt: skip
def test_country_determines_the_language_with_a_default(
    make: Make, country: str, default: str, locale: str
) -> None:
    assert make(default_locale=default).choose_locale(country, None, None) == locale


@pytest.mark.parametrize(
    ("wanted", "locale"),
    [("fr", "fr"), ("FR", "fr"), ("pt-BR", "pt"), ("pt_BR", "pt"), ("in_ID", "id"), ("deu", "de"),
     ("prs", "fa"), ("hi-Latn", "en"), ("zh-Hant-TW", "ar"), ("iw", "ar"), ("xx", "ar"),
     ("i-klingon", "ar"), ("", "ar"), ("-", "ar"), ("fr" * 500, "ar"), ("f\nr", "ar")],
)  # fmt: skip
def test_request_chooses_the_language_or_gets_that_of_the_country(
    make: Make, wanted: str, locale: str
) -> None:
    assert make().choose_locale("EG", wanted, None) == locale


@pytest.mark.parametrize(("country", "locale"), [("FR", "fr"), ("CH", "tr"), ("TW", "tr")])
def test_unknown_language_gives_that_of_the_country_else_the_default(
    make: Make, country: str, locale: str
) -> None:
    assert make(default_locale="tr").choose_locale(country, "zh-Hant-TW", None) == locale


def test_unknown_language_gives_that_of_the_key_before_that_of_the_country(make: Make) -> None:
    assert make(OWN).choose_locale("EG", "iw", "webshop") == "it"


def test_custom_texts_are_found_by_aliases_and_parents(make: Make) -> None:
    own = "".join(
        f'[templates.otp.{locale}]\nwordings = ["{{code}}\\n{locale}"]\n'
        for locale in ("iw", "zh", "zh-Hant", "es-419", "en-GB", "nb")
    )
    texts = make(own)
    found = {
        wanted: texts.choose_locale("EG", wanted, None)
        for wanted in ("iw", "he-IL", "zh_TW", "zh-Hant-HK", "zh-CN", "es_MX", "es-ES", "en-UK")
    }
    assert found == {
        "iw": "he",
        "he-IL": "he",
        "zh_TW": "zh-hant",
        "zh-Hant-HK": "zh-hant",
        "zh-CN": "zh",
        "es_MX": "es-419",
        "es-ES": "es",
        "en-UK": "en-gb",
    }
    assert rendered(texts, "he") == {"{code}\niw"}
    assert rendered(texts, "iw") == {"{code}\niw"}  # as stored by an earlier version


def test_custom_texts_replace_shipped_ones_by_language(make: Make) -> None:
    texts = make(OWN, brand_name="Acme")
    assert rendered(texts, "en") == {"Own Acme:\n{code}\n5 minutes"}
    assert len(rendered(texts, "fr")) == 4
    assert texts.link_text("reply", "en", key_name=None, token="T") == "Hello, this is T"
    assert "Acme" in texts.link_text("verify", "en", key_name=None, token="T")


def test_a_key_has_its_own_template_brand_and_language(make: Make) -> None:
    texts = make(OWN)
    locale = texts.choose_locale("EG", None, "webshop")
    assert locale == "it"
    assert texts.render(None, locale, key_name="webshop", ttl_seconds=300) == (
        "shop",
        "{code}\nWeb Shop, 5 minuti",
    )
    assert texts.render("otp", "fr", key_name="webshop", ttl_seconds=300)[0] == "otp"
    assert "Web Shop" in texts.approved_text("fr", key_name="webshop")
    assert "Hudhud" in texts.approved_text("fr", key_name="other")
    assert texts.choose_locale("EG", "de", "webshop") == "de"


def test_custom_languages_can_be_requested_and_follow_the_country(make: Make) -> None:
    texts = make(OWN)
    assert texts.choose_locale("IT", None, None) == "it"
    assert texts.choose_locale("EG", "it-CH", None) == "it"
    assert texts.choose_locale("EG", "pt_PT", None) == "pt-pt"
    assert rendered(texts, "pt-pt") == {"{code}\nPT"}


def test_template_without_the_language_uses_the_default_or_its_first(make: Make) -> None:
    assert rendered(make(OWN, default_locale="ar"), "fr", template="shop") == {
        "{code}\nمتجر Hudhud"
    }
    italian = '[templates.shop.it]\nwordings = ["{code}\\n{minutes}"]'
    assert rendered(make(italian), "fr", template="shop") == {"{code}\n5 minuti"}


@pytest.mark.parametrize("name", ["nothing", "link_reply", "x" * 1000, "otp.en"])
def test_unknown_template_is_refused(make: Make, name: str) -> None:
    with pytest.raises(BadRequest) as refused:
        make(OWN).render(name, "en", key_name=None, ttl_seconds=300)
    assert refused.value.word == "unknown_template"
    assert len(str(refused.value)) < 100


def test_changed_file_is_reloaded_and_an_invalid_one_ignored(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "templates.toml"
    texts = make(OWN, look_seconds=0.0)
    own = rendered(texts, "en")

    file.write_text('[templates.otp.en]\nwordings = ["changed\\n{code}"]')
    changed = {"changed\n{code}"}
    assert rendered(texts, "en") == changed != own

    file.write_text('[templates.otp.en]\nwordings = ["broken"]')
    with capture_logs() as logs:
        assert rendered(texts, "en") == changed
        assert rendered(texts, "fr") != changed
    assert [line["log_level"] for line in logs] == ["warning"]
    assert logs[0]["problems"] == [
        f"{file}: templates.otp.en.wordings[0]: {{code}} must occur exactly once, "
        "alone on its line, without spaces."
    ]

    file.unlink()
    assert len(rendered(texts, "en")) == 4


def test_the_file_is_looked_at_now_and_then_only(make: Make, tmp_path: Path) -> None:
    texts = make(OWN, look_seconds=3600.0)
    (tmp_path / "templates.toml").unlink()
    assert rendered(texts, "en") == {"Own Hudhud:\n{code}\n5 minutes"}


def test_invalid_file_stops_the_start_except_of_a_sender(make: Make) -> None:
    with pytest.raises(SettingsError, match=r"not TOML: .* \(at end of document\)"):
        make("wordings")
    with capture_logs() as logs:
        texts = make("wordings", tolerant=True)
    assert len(logs) == 1
    assert len(rendered(texts, "en")) == 4
