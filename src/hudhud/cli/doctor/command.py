"""`hudhud doctor`: find problems and how to fix them."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from hudhud.cli.doctor.examine import examine
from hudhud.cli.doctor.finding import Finding, Level
from hudhud.cli.terminal import progress

COLOURS: dict[Level, str] = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    *,
    show_all: Annotated[bool, typer.Option("--all", help="List the passed checks too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, always of all.")] = False,
) -> None:
    """Check for common problems and explain how to fix them.

    Checks the service that runs on this machine, otherwise the settings of this shell. Changes
    nothing. Exits with 1 if a check fails.
    """
    findings: dict[str, Finding] = {}
    examination = examine()
    while (found := _next(examination)) is not None:
        check, findings[check] = found
        if not as_json and (show_all or findings[check].outcome != "ok"):
            _print(check, findings[check])
    if as_json:
        typer.echo(json.dumps([{"check": check, **asdict(f)} for check, f in findings.items()]))
    elif not show_all:
        typer.echo(_summary([finding.outcome for finding in findings.values()]))
    if any(finding.outcome == "fail" for finding in findings.values()):
        raise typer.Exit(1)


def _next(examination: Iterator[tuple[str, Finding]]) -> tuple[str, Finding] | None:
    with progress("Checking …"):
        return next(examination, None)


def _summary(outcomes: list[Level]) -> str:
    passed = outcomes.count("ok")
    if passed == len(outcomes):
        return f"All {passed} checks passed. To list them: hudhud doctor --all"
    return f"{passed} of {len(outcomes)} checks passed. To list them: hudhud doctor --all"


def _print(check: str, finding: Finding) -> None:
    outcome = typer.style(f"{finding.outcome:<4}", fg=COLOURS[finding.outcome])
    remedy = "" if finding.remedy is None else f" → {finding.remedy}"
    typer.echo(f"{outcome}  {check:<13}  {finding.sentence}{remedy}")
