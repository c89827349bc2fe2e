"""templates.toml: valid content, and errors reported with their keys."""

import re
from pathlib import Path

import pytest

from hudhud.core.errors import SettingsError
from hudhud.messages.templates.operator_file import KeyTexts, TemplatesFile, read

DOCS = Path(__file__).parents[3] / "docs/templates.md"

WRONG = '''\
version = 1

[templates.otp.en]
wordings = [
    "Your code: {code}",
    """
    fine
{code}
""",
    "{code}\\n{name} {brand}}",
    "{code}\\n{code}",
    "",
]
colour = "red"

[templates.otp.klingon]
wordings = ["{code}"]

[templates.otp.pt-BR]
wordings = ["{code}", 1]
[templates.otp.pt_br]
wordings = ["{code}"]

[templates."pay now".en]
wordings = ["{code}"]

[templates.link_replay.en]
wordings = ["{token}"]

[templates.link_reply.en]
wordings = ["Hello"]

[templates.link_refused.en]
wordings = ["{token}"]

[templates]
flat = 1
empty.en = {}

[keys.webshop]
template = "shop"
brand = "{code}"
locale = "xx"
limit = 1

[keys]
other = "x"
third.template = "link_reply"
third.locale = 5
'''
PROBLEMS = [
    ("version", "unknown key version; allowed: templates, keys."),
    ("templates.otp.en.wordings[0]", "{code} must occur exactly once, alone on its line"),
    (
        "templates.otp.en.wordings[2]",
        "{name} is not a placeholder of otp. Allowed: {code}, {brand}, {minutes}.",
    ),
    ("templates.otp.en.wordings[2]", "} is not a placeholder of otp."),
    ("templates.otp.en.wordings[3]", "{code} must occur exactly once"),
    ("templates.otp.en.wordings[4]", "a wording has 1 to 1000 characters."),
    ("templates.otp.en.wordings[4]", "{code} must occur exactly once"),
    ("templates.otp.en.colour", "unknown key colour; allowed: wordings."),
    ("templates.otp.klingon", "'klingon' is not a language"),
    ("templates.otp.pt-BR.wordings[1]", "a wording must be a text in quotes."),
    ("templates.otp.pt_br", "pt_br is given twice."),
    ('templates."pay now"', "'pay now' is not a name"),
    ("templates.link_replay", "there is no text link_replay, only link_reply,"),
    ("templates.link_reply.en.wordings[0]", "{token} must occur exactly once."),
    (
        "templates.link_refused.en.wordings[0]",
        "{token} is not a placeholder of link_refused. Allowed: {brand}.",
    ),
    ("templates.flat", "write the language too, for example [templates.flat.en]."),
    ("templates.empty.en", 'write wordings = ["…", "…"] here'),
    ("keys.webshop.template", "there is no template shop."),
    ("keys.webshop.brand", "brand must not hold"),
    ("keys.webshop.locale", "there are no texts in xx. There are: ar, de,"),
    ("keys.webshop.limit", "unknown key limit; allowed: template, brand, locale."),
    ("keys.other", 'write [keys."other"]'),
    ("keys.third.template", "there is no template link_reply."),
    ("keys.third.locale", "locale must be a text in quotes."),
]


def told(tmp_path: Path, source: str | bytes) -> list[str]:
    """Return the lines of the error, without the file's name."""
    file = tmp_path / "templates.toml"
    file.write_bytes(source if isinstance(source, bytes) else source.encode())
    with pytest.raises(SettingsError) as error:
        read(file)
    lines = str(error.value).split("\n")
    assert all(line.startswith(f"{file}: ") for line in lines)
    return [line.removeprefix(f"{file}: ") for line in lines]


def understood(tmp_path: Path, source: str) -> TemplatesFile:
    file = tmp_path / "templates.toml"
    file.write_text(source, encoding="utf-8")
    return read(file)


def test_every_error_is_reported_with_its_key(tmp_path: Path) -> None:
    lines = told(tmp_path, WRONG)
    for key, sentence in PROBLEMS:
        found = [line for line in lines if line.startswith(f"{key}: {sentence}")]
        assert len(found) == 1, (key, sentence, lines)
    assert len(lines) == len(PROBLEMS)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("templates = 1", "templates: write [templates.NAME.LOCALE]"),
        ("\nkeys = 1", 'keys: write [keys."NAME"]'),
        ("[templates.otp.en]\nwordings = 'x'", "templates.otp.en: write wordings ="),
        ("[templates.otp]\nen = 5", "templates.otp.en: write wordings ="),
        ("[[templates.otp]]\nx = 1", "templates.otp: write the language too"),
        (
            "[templates.otp.en]\nwordings = ['{code}\\u0007']",
            "templates.otp.en.wordings[0]: {code} must occur",
        ),
        (
            '[templates.otp.en]\nwordings = ["{code}\\n\\u0007"]',
            "templates.otp.en.wordings[0]: a wording must not contain control",
        ),
        (
            '[templates.otp.en]\nwordings = ["{code}\\r\\nx"]',
            "templates.otp.en.wordings[0]: a wording must not contain control",
        ),
        ("a = ", "not TOML: Invalid value (at end of document)."),
        (
            "[templates.otp.en]\nwordings = [\n'{code}'\n",
            "not TOML: Unclosed array (at end of document).",
        ),
        ("[keys.a]\nbrand = x", "not TOML: Invalid value (at line 2, column 9)."),
        (b"[keys.a]\nbrand = '\xe9'", "line 2: not UTF-8."),
    ],
)
def test_wrong_type_is_reported_with_its_key(
    tmp_path: Path, source: str | bytes, expected: str
) -> None:
    assert told(tmp_path, source)[0].startswith(expected)


@pytest.mark.parametrize(
    "wording",
    ["{code}", "x\n{code}\ny", "\n\n  {code}\n", "{minutes}\n{code}", "{brand}{brand}\n{code}"],
)
def test_valid_wordings_are_accepted(tmp_path: Path, wording: str) -> None:
    source = f"[templates.x.en]\nwordings = ['''{wording}''']"
    assert understood(tmp_path, source).texts["x"]["en"] == (wording.strip(),)


@pytest.mark.parametrize(
    "wording", ["{code} ", "x {code}", "{code}.", "{ code }", "code", "{Code}"]
)
def test_code_must_be_alone_on_its_line(tmp_path: Path, wording: str) -> None:
    lines = told(tmp_path, f"[templates.x.en]\nwordings = ['''x\n{wording}\nx''']")
    assert any(
        re.match(r"templates\.x\.en\.wordings\[0\]: \{code\} must occur exactly once, alone", line)
        for line in lines
    )


def test_missing_or_empty_file_defines_no_texts(tmp_path: Path) -> None:
    assert read(tmp_path / "templates.toml") == TemplatesFile()
    assert understood(tmp_path, "") == TemplatesFile()
    assert understood(tmp_path, "\ufeff# as Windows saves it\r\n") == TemplatesFile()


def test_unreadable_file_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "templates.toml").mkdir()
    with pytest.raises(SettingsError, match=r"templates\.toml cannot be read: Is a directory\.$"):
        read(tmp_path / "templates.toml")


def test_example_of_the_documentation_is_valid(tmp_path: Path) -> None:
    text = DOCS.read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    own = understood(tmp_path, example)
    assert {name: sorted(by_locale) for name, by_locale in own.texts.items()} == {
        "otp": ["en"],
        "payment": ["ar", "en"],
    }
    assert own.keys == {"webshop": KeyTexts("payment", "Web Shop", "ar")}
