"""`hudhud templates`: errors with their keys, and previews of the texts."""

from pathlib import Path

import pytest

from hudhud.messages.templates.shipped import shipped
from support.command_line import Run

OWN = """
[templates.shop.ar]
wordings = ["رمز {brand}:\\n{code}", "{code}\\n{minutes}"]

[keys.webshop]
template = "shop"
brand = "Web Shop"
locale = "ar"
"""
BROKEN = '[templates.otp.en]\nwordings = ["{name}", "{code}\\n{x}"]\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of custom texts in the data folder of the tests."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data/templates.toml"


def test_check_without_a_file_says_so(run: Run) -> None:
    ended = run("templates", "check")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "There is no data/templates.toml: the built-in texts are used.\n"


def test_check_accepts_a_valid_file(run: Run, file: Path) -> None:
    file.write_text(OWN, encoding="utf-8")
    ended = run("templates", "check")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "data/templates.toml is valid: 1 text, 1 key.\n"


def test_check_of_an_invalid_file_exits_with_one_and_a_line_per_error(run: Run, file: Path) -> None:
    file.write_text(BROKEN)
    ended = run("templates", "check")
    assert (ended.code, ended.out) == (1, "")
    lines = ended.err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("data/templates.toml: templates.otp.en.wordings[") for line in lines)


def test_invalid_file_stops_commands_that_word_messages(run: Run, file: Path) -> None:
    file.write_text(BROKEN)
    ended = run("templates", "preview")
    assert ended.code == 2
    lines = ended.err.splitlines()
    assert len(lines) == 3
    assert all(
        line.startswith("hudhud: data/templates.toml: templates.otp.en.wordings[") for line in lines
    )


@pytest.mark.parametrize("locale", ["en", "ar", "pt-BR"])
def test_preview_shows_every_wording(run: Run, locale: str) -> None:
    ended = run("templates", "preview", "--locale", locale, "--validity", "7m")
    assert (ended.code, ended.err) == (0, "")
    count = sum(len(by_locale[locale[:2]]) for by_locale in shipped().values())
    assert ended.out.count("--- ") == count
    assert ended.out.splitlines().count("472819") == len(shipped()["otp"][locale[:2]])
    assert "{" not in ended.out
    assert "7 " in ended.out
    assert "--- link_refused, 1 of 1\n" in ended.out


def test_preview_of_a_language_without_texts_warns_and_shows_the_default(run: Run) -> None:
    ended = run("templates", "preview", "--locale", "iw")
    assert ended.code == 0
    assert ended.err.startswith("There are no texts in iw. These are in en;")
    assert ended.out.splitlines().count("472819") == len(shipped()["otp"]["en"])


def test_preview_follows_the_settings_and_the_key(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(OWN, encoding="utf-8")
    monkeypatch.setenv("OTP_LENGTH", "6")
    monkeypatch.setenv("OTP_TTL_SECONDS", "180")
    ended = run("templates", "preview", "--key", "webshop")
    assert "--- shop, 1 of 2\nرمز Web Shop:\n472819\n" in ended.out
    assert "--- shop, 2 of 2\n472819\n3 دقائق\n" in ended.out
    assert "تم تأكيد رقمك لدى Web Shop" in ended.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--template", "shop"], "There is no template shop."),
        (["--validity", "0s"], "1m to 1d"),
        (["--validity", "10"], "a number and a unit"),
    ],
)
def test_preview_of_an_unknown_template_exits_with_two(
    run: Run, arguments: list[str], said: str
) -> None:
    ended = run("templates", "preview", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("hudhud: ")
    assert said in ended.err


def test_doctor_finds_an_invalid_file(run: Run, file: Path) -> None:
    file.write_text(BROKEN)
    ended = run("doctor")
    assert ended.code == 1
    assert (
        "data/templates.toml: templates.otp.en.wordings[0]: {name} is not a placeholder of otp."
        in ended.out
    )
