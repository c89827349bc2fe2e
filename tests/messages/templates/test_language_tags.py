"""Language tags: their syntax, aliases and parents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudhud.messages.templates.language_tags import LONGEST_TAG, TAG, _special_parents, lineage


@pytest.mark.parametrize(
    "tag",
    [
        "ar", "pt-BR", "pt_br", "zh-Hant-TW", "zh_Hant_TW", "in_ID", "iw", "xx", "es-419", "fil",
        "de-DE-1996", "sl-rozaj-biske", "de-CH-x-phonebk", "ar-u-nu-latn", "zh-cmn-Hans-CN", "und",
        "i-klingon", "x-whatever", "en_US_POSIX", "en_US.UTF-8", "ca_ES.ISO-8859-1", "und-EG",
    ],
)  # fmt: skip
def test_tag_is_well_formed(tag: str) -> None:
    assert TAG.fullmatch(tag)


@pytest.mark.parametrize(
    "tag",
    [
        "", "-", "_", "a", "x", "i", "x-", "5", "419", "12-en", "en-", "-en", "en--GB", "en GB",
        "languages", "en-languages", "en\n", "en-GB\n", "é", "ar,en", "*", "en;q=1", "ca@valencia",
        "en.", "C.UTF-8", "zh_TW_#Hant", "fr" * 500, "en" + "-a" * LONGEST_TAG,
    ],
)  # fmt: skip
def test_other_text_is_malformed(tag: str) -> None:
    assert not TAG.fullmatch(tag)


def test_longest_tag() -> None:
    tag = "en" + "-abc" * 16
    assert not TAG.fullmatch(tag)
    assert TAG.fullmatch(tag[:LONGEST_TAG])


@pytest.mark.parametrize(
    ("tag", "tried"),
    [
        ("en", ["en"]),
        ("PT_br", ["pt-br", "pt"]),
        ("iw", ["he"]),
        ("in_ID", ["id-id", "id"]),
        ("deu", ["de"]),
        ("en_UK.UTF-8", ["en-gb", "en-001", "en"]),
        ("pt-076", ["pt-br", "pt"]),
        ("sh", ["sr-latn", "sr"]),
        ("sh-BA", ["sr-latn-ba", "sr-latn", "sr"]),
        ("sh-Cyrl", ["sr-cyrl", "sr"]),
        ("prs", ["fa-af", "fa"]),
        ("prs-IR", ["fa-ir", "fa"]),
        ("zh-Hant-TW", ["zh-hant-tw", "zh-hant", "zh"]),
        ("zh-TW", ["zh-tw", "zh-hant-tw", "zh-hant", "zh"]),
        ("zh_MO", ["zh-mo", "zh-hant-mo", "zh-hant-hk", "zh-hant", "zh"]),
        ("zh-CN", ["zh-cn", "zh"]),
        ("cmn-Hans", ["zh-hans", "zh"]),
        ("es-MX", ["es-mx", "es-419", "es"]),
        ("pt-AO", ["pt-ao", "pt-pt", "pt"]),
        ("nb-NO", ["nb-no", "nb", "no"]),
        ("hi-Latn", ["hi-latn", "en-in", "en-001", "en"]),
        ("und-EG", ["und-eg", "ar-arab-eg", "ar-arab", "ar"]),
        ("ar-u-nu-latn", ["ar-u-nu-latn", "ar-u-nu", "ar-u", "ar"]),
        ("x-shop", ["x-shop", "x"]),
        ("", []),
    ],
)
def test_lineage_begins_with_the_current_tag_and_follows_cldr(tag: str, tried: list[str]) -> None:
    assert list(lineage(tag)) == tried


def test_every_lineage_of_cldr_ends() -> None:
    for tag in _special_parents():
        tried = list(lineage(tag))
        assert len(set(tried)) == len(tried) <= 7, tag


@given(st.text(max_size=80) | st.from_regex(TAG, fullmatch=True))
def test_every_lineage_ends_and_is_its_own(tag: str) -> None:
    tried = list(lineage(tag))
    assert len(set(tried)) == len(tried)
    if TAG.fullmatch(tag):
        assert list(lineage(tried[0])) == tried
