"""Sentences: codes with parameters, rendered in languages and stored in rows."""

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest

import hudhud
from hudhud.channels.linked.faults import FAULTS, meaning
from hudhud.core.english import ENGLISH
from hudhud.core.sentences import Sentence, holes, other, render, say
from hudhud.core.stored_sentences import (
    MARK,
    columns,
    decoded_text,
    encoded,
    replaced,
    stored,
    texts_in,
    with_mark,
)
from hudhud.senders.records import usual

ROOT = Path(hudhud.__file__).parent
NESTED = say("action.not_retried", job=7, reason=say("refusal.expired"))


def row(**values: object) -> SimpleNamespace:
    return SimpleNamespace(**values)


def kept(sentence: Sentence, **changes: object) -> Sentence | None:
    return stored(row(**{**columns("error", sentence), **changes}), "error")


def test_sentence_is_rendered_with_its_parameters() -> None:
    assert say("job.not_taken", detail="{x}").english() == "WhatsApp did not accept it: {x}."
    assert NESTED.english() == "Job 7 cannot be retried. Expired: ask for a new code."
    assert other("Odd {0}.").english() == "Odd {0}."


def test_sentence_is_translated_with_its_values_marked() -> None:
    said = render(NESTED, lambda text: f"<{text}>", lambda value: f"[{value}]")
    assert said == "<Job [7] cannot be retried. <Expired: ask for a new code.>>"


@pytest.mark.parametrize(
    ("code", "params"),
    [("job.nonsense", {}), ("job.not_taken", {}), ("job.lost", {"detail": "x"})],
)
def test_unknown_code_or_wrong_parameters_are_refused(code: str, params: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=code):
        Sentence(code, params)


def test_no_template_uses_the_reserved_parameter() -> None:
    assert MARK not in {name for text in ENGLISH.values() for name in holes(text)}


def test_catalog_holds_every_sentence_of_the_code() -> None:
    said = [call for path in ROOT.rglob("*.py") for call in _calls(path)]
    assert len(said) > 100
    for code, names in said:
        assert holes(ENGLISH[code]) == names, code


def _calls(path: Path) -> list[tuple[str, frozenset[str | None]]]:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return [
        (call.args[0].value, frozenset(keyword.arg for keyword in call.keywords))
        for call in calls
        if getattr(call.func, "id", "") == "say"
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    ]


def test_every_fault_and_every_state_has_a_sentence() -> None:
    for fault in FAULTS:
        assert "{" not in meaning(fault, "x").english()
    assert usual("replaced").english().startswith("Another program")


@pytest.mark.parametrize(
    "sentence",
    [
        say("job.lost"),
        NESTED,
        other("Odd."),
        say("job.not_taken", detail='"\\ {} رمز'),
        say("webhook.no_connection", detail=say("webhook.tls_failed")),
    ],
)
def test_stored_sentence_is_read_back(sentence: Sentence) -> None:
    assert kept(sentence) == sentence
    assert columns("error", sentence)["error"] == sentence.english()
    assert decoded_text(sentence.code, encoded(sentence)) == sentence


def test_row_without_a_code_yields_its_text() -> None:
    assert kept(NESTED, error_code=None, error_params=None) == other(NESTED.english())
    assert kept(NESTED, error=None) is None


def test_text_changed_by_a_version_without_codes_takes_precedence() -> None:
    assert kept(say("job.lost"), error="It went wrong.") == other("It went wrong.")


def test_code_of_a_later_version_yields_its_text() -> None:
    text = say("job.lost").english()
    assert kept(say("job.lost"), error_code="job.new") == other(text)
    assert kept(say("job.lost"), error_code="job.not_taken") == other(text)


def test_null_characters_are_removed() -> None:
    found = columns("error", other("a\0b"))
    assert kept(other("a\0b"), error="ab") == other("ab")
    assert "\\u0000" not in str(found["error_params"])


def test_parameters_changed_together_with_their_text_still_match() -> None:
    found = columns("error", say("job.not_taken", detail="+2010 is odd"))
    text = str(found["error"]).replace("+2010", "x")
    params = replaced(str(found["error_params"]), lambda part: part.replace("+2010", "x"))
    params = with_mark(params, before=str(found["error"]), now=text)
    changed = stored(row(**{**found, "error": text, "error_params": params}), "error")
    assert changed == say("job.not_taken", detail="x is odd")


def test_parameters_of_another_text_still_do_not_match() -> None:
    found = columns("error", say("job.not_taken", detail="no 2010"))
    params = with_mark(str(found["error_params"]), before="Else, 2010.", now="Else, x.")
    changed = stored(row(**{**found, "error": "Else, x.", "error_params": params}), "error")
    assert changed == other("Else, x.")


@pytest.mark.parametrize("inner", ["null", "[]", "5", '"a"'])
def test_invalid_nested_parameters_are_ignored(inner: str) -> None:
    params = f'{{"job": "9", "reason": {{"code": "job.lost", "params": {inner}}}}}'
    assert decoded_text("action.not_retried", params) is None


def test_replacement_applies_to_decoded_texts() -> None:
    params = str(columns("error", say("job.not_taken", detail="\x104915112345678"))["error_params"])
    assert "4915112345678" in next(texts_in(params))
    changed = replaced(params, lambda part: part.replace("4915112345678", "x"))
    assert list(texts_in(changed)) == ["\x10x"]
