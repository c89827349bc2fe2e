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


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check for common problems and explain how to fix them.

    Changes nothing. Exits with 1 if a check fails.
    """
    findings: dict[str, Finding] = {}
    examination = examine()
    while (found := _next(examination)) is not None:
        check, findings[check] = found
        if not as_json:
            _print(check, findings[check])
    if as_json:
        typer.echo(json.dumps([{"check": check, **asdict(f)} for check, f in findings.items()]))
    if any(finding.outcome == "fail" for finding in findings.values()):
        raise typer.Exit(1)


def _next(examination: Iterator[tuple[str, Finding]]) -> tuple[str, Finding] | None:
    with progress("Checking …"):
        return next(examination, None)


def _print(check: str, finding: Finding) -> None:
    outcome = typer.style(f"{finding.outcome:<4}", fg=COLOURS[finding.outcome])
    remedy = "" if finding.remedy is None else f" → {finding.remedy}"
    typer.echo(f"{outcome}  {check:<13}  {finding.sentence}{remedy}")
