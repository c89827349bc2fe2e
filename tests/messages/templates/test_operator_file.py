"""templates.toml: what it may say, and that each mistake is told with its line."""

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
    (1, "version has no meaning here"),
    (5, "{code} must stand in it exactly once, alone on its line"),
    (10, "{name} means nothing in otp. In braces may stand: {code}, {brand}, {minutes}."),
    (10, "} means nothing in otp."),
    (11, "{code} must stand in it exactly once"),
    (12, "a wording has 1 to 1000 characters."),
    (12, "{code} must stand in it exactly once"),
    (14, "colour has no meaning here"),
    (16, "'klingon' is no language"),
    (20, "a wording is a text in quotes."),
    (21, "pt_br stands here twice."),
    (24, "'pay now' is no name"),
    (27, "there is no text link_replay, only link_reply,"),
    (31, "{token} must stand in it exactly once."),
    (34, "{token} means nothing in link_refused. In braces may stand: {brand}."),
    (37, "write the language too, for example [templates.flat.en]."),
    (38, 'write wordings = ["…", "…"] here'),
    (41, "there is no template shop."),
    (42, "brand must not hold"),
    (43, "there are no texts in xx. There are: ar, de,"),
    (44, "limit has no meaning here"),
    (47, 'write [keys."other"]'),
    (48, "there is no template link_reply."),
    (49, "locale is a text in quotes."),
]


def told(tmp_path: Path, source: str | bytes) -> list[str]:
    """The lines of the error, without the file's name."""
    file = tmp_path / "templates.toml"
    file.write_bytes(source if isinstance(source, bytes) else source.encode())
    with pytest.raises(SettingsError) as error:
        read(file)
    lines = str(error.value).split("\n")
    assert all(line.startswith(f"{file}, line ") for line in lines)
    return [line.removeprefix(f"{file}, line ") for line in lines]


def understood(tmp_path: Path, source: str) -> TemplatesFile:
    file = tmp_path / "templates.toml"
    file.write_text(source, encoding="utf-8")
    return read(file)


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    lines = told(tmp_path, WRONG)
    places = [int(line.partition(":")[0]) for line in lines]
    assert places == sorted(places)
    for line, sentence in PROBLEMS:
        found = [one for one in lines if one.startswith(f"{line}: {sentence}")]
        assert len(found) == 1, (line, sentence, lines)
    assert len(lines) == len(PROBLEMS)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("templates = 1", "1: write [templates.NAME.LOCALE]"),
        ("\nkeys = 1", '2: write [keys."NAME"]'),
        ("[templates.otp.en]\nwordings = 'x'", "1: write wordings ="),
        ("[templates.otp]\nen = 5", "2: write wordings ="),
        ("[[templates.otp]]\nx = 1", "1: write the language too"),
        ("[templates.otp.en]\nwordings = ['{code}\\u0007']", "2: {code} must stand"),
        ('[templates.otp.en]\nwordings = ["{code}\\n\\u0007"]', "2: a wording holds no control"),
        ('[templates.otp.en]\nwordings = ["{code}\\r\\nx"]', "2: a wording holds no control"),
        ("a = ", "1: not TOML: Invalid value, in what begins on this line."),
        (
            "[templates.otp.en]\nwordings = [\n'{code}'\n",
            "2: not TOML: Unclosed array, in what",
        ),
        (b"[keys.a]\nbrand = '\xe9'", "2: not UTF-8."),
    ],
)
def test_a_wrong_form_is_told_with_its_line(
    tmp_path: Path, source: str | bytes, expected: str
) -> None:
    assert told(tmp_path, source)[0].startswith(expected)


@pytest.mark.parametrize(
    "wording",
    ["{code}", "x\n{code}\ny", "\n\n  {code}\n", "{minutes}\n{code}", "{brand}{brand}\n{code}"],
)
def test_these_wordings_are_right(tmp_path: Path, wording: str) -> None:
    source = f"[templates.x.en]\nwordings = ['''{wording}''']"
    assert understood(tmp_path, source).texts["x"]["en"] == (wording.strip(),)


@pytest.mark.parametrize(
    "wording", ["{code} ", "x {code}", "{code}.", "{ code }", "code", "{Code}"]
)
def test_the_code_must_stand_alone_on_its_line(tmp_path: Path, wording: str) -> None:
    lines = told(tmp_path, f"[templates.x.en]\nwordings = ['''x\n{wording}\nx''']")
    assert any(
        re.match(r"2: \{code\} must stand in it exactly once, alone", line) for line in lines
    )


def test_no_file_and_an_empty_one_say_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "templates.toml") == TemplatesFile()
    assert understood(tmp_path, "") == TemplatesFile()
    assert understood(tmp_path, "\ufeff# as Windows saves it\r\n") == TemplatesFile()


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "templates.toml").mkdir()
    with pytest.raises(SettingsError, match=r"templates\.toml cannot be read: Is a directory\.$"):
        read(tmp_path / "templates.toml")


def test_the_example_of_the_documentation_is_right(tmp_path: Path) -> None:
    text = DOCS.read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    own = understood(tmp_path, example)
    assert {name: sorted(by_locale) for name, by_locale in own.texts.items()} == {
        "otp": ["en"],
        "payment": ["ar", "en"],
    }
    assert own.keys == {"webshop": KeyTexts("payment", "Web Shop", "ar")}
