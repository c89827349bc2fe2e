"""The texts: languages, wordings, the code on a line of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudhud.templates import CODE, WORDINGS, locale_for, render, with_code

LOCALES = sorted(WORDINGS)
EVERY_WORDING = [(locale, wording) for locale in LOCALES for wording in WORDINGS[locale]]
# Enough draws that each of a few wordings comes up.
MANY = 200


def rendered(locale: str, brand: str = "Acme", ttl_seconds: int = 300) -> set[str]:
    return {render(locale, brand=brand, ttl_seconds=ttl_seconds) for _ in range(MANY)}


@pytest.mark.parametrize(
    ("country", "default", "locale"),
    [
        ("EG", "en", "ar"),
        ("SA", "en", "ar"),
        ("MA", "en", "ar"),
        ("US", "en", "en"),
        ("US", "ar", "ar"),
        ("001", "en", "en"),
        ("ZZ", "ar", "ar"),
    ],
)
def test_the_country_chooses_the_language_and_the_default_where_it_does_not_tell(
    country: str, default: str, locale: str
) -> None:
    assert locale_for(country, default) == locale


@pytest.mark.parametrize(("locale", "wording"), EVERY_WORDING)
def test_every_wording_has_the_code_once_on_a_line_of_its_own(locale: str, wording: str) -> None:
    assert wording.splitlines().count(CODE) == 1, locale
    assert wording.count(CODE) == 1


@pytest.mark.parametrize(("locale", "wording"), EVERY_WORDING)
def test_every_wording_names_the_brand_and_the_minutes(locale: str, wording: str) -> None:
    assert "{brand}" in wording, locale
    assert wording.count("{minutes}") == 1


@pytest.mark.parametrize("locale", LOCALES)
def test_the_wording_is_chosen_at_random(locale: str) -> None:
    assert len(rendered(locale)) == len(WORDINGS[locale]) >= 3


@pytest.mark.parametrize("locale", LOCALES)
def test_a_text_is_complete_but_for_the_code(locale: str) -> None:
    for body in rendered(locale):
        assert "Acme" in body
        assert body.replace(CODE, "").count("{") == 0
        assert "0345" in with_code(body, "0345").splitlines()


@pytest.mark.parametrize("brand", ["{code}", "{minutes}", "{brand}", "{", "}{", "{0}", "%s", r"\1"])
@pytest.mark.parametrize("locale", LOCALES)
def test_a_brand_with_braces_is_shown_as_it_is_and_breaks_nothing(locale: str, brand: str) -> None:
    for body in rendered(locale, brand):
        text = with_code(body, "0345")
        assert brand in text
        assert text.count("0345") == 1
        assert "0345" in text.splitlines()


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60))
def test_any_brand_leaves_the_code_on_its_line(brand: str) -> None:
    text = with_code(render("en", brand=brand, ttl_seconds=300), "0345")
    assert text.splitlines().count("0345") == 1


@pytest.mark.parametrize(
    ("minutes", "english", "arabic"),
    [
        (1, "1 minute", "دقيقة واحدة"),
        (2, "2 minutes", "دقيقتين"),
        (3, "3 minutes", "3 دقائق"),
        (5, "5 minutes", "5 دقائق"),
        (10, "10 minutes", "10 دقائق"),
        (11, "11 minutes", "11 دقيقة"),
        (99, "99 minutes", "99 دقيقة"),
        (100, "100 minutes", "100 دقيقة"),
        (103, "103 minutes", "103 دقائق"),
    ],
)
def test_minutes_are_counted_as_the_language_does(minutes: int, english: str, arabic: str) -> None:
    assert all(f" {english}" in body for body in rendered("en", ttl_seconds=minutes * 60))
    assert all(f" {arabic}" in body for body in rendered("ar", ttl_seconds=minutes * 60))


@pytest.mark.parametrize("seconds", [5, 59, 60, 119])
def test_less_than_two_minutes_are_called_one(seconds: int) -> None:
    assert all(" 1 minute" in body for body in rendered("en", ttl_seconds=seconds))
