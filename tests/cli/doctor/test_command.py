"""Output and exit code of `hudhud doctor`."""

import json

import pytest

from hudhud.cli.doctor.examine import CHECKS
from support.command_line import Run


@pytest.mark.system_clock
def test_doctor_prints_one_line_or_all(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "0")
    ended = run("doctor", "--all")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert [line[6:].split("  ")[0] for line in lines] == ["settings", *CHECKS]
    assert {line.split()[0] for line in lines} == {"ok"}
    ended = run("doctor")
    assert ended.out == "All 23 checks passed. To list them: hudhud doctor --all\n"


@pytest.mark.system_clock
def test_doctor_prints_problems_and_counts_the_rest(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "0")
    monkeypatch.setenv("NODE_ENV", "production")
    ended = run("doctor")
    assert ended.code == 0
    problem, summary = ended.out.splitlines()
    assert problem.startswith("warn  leftovers      NODE_ENV is no longer needed")
    assert summary == "22 of 23 checks passed. To list them: hudhud doctor --all"


def test_doctor_exits_with_one_if_a_check_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "many")
    ended = run("doctor", "--json")
    assert ended.code == 1
    (finding,) = json.loads(ended.out)
    assert finding["check"] == "settings"
    assert finding["outcome"] == "fail"
    assert finding["remedy"]
