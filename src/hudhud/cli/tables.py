"""Tables of plain text with aligned columns, and times relative to now."""

from collections.abc import Sequence
from typing import Final

import typer
from rich.cells import cell_len

from hudhud.core.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

GAP = "  "
NEVER = "never"
_UNITS: Final = ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min"), (SECOND_MS, "s"))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the rows below their headings, which are bold on a terminal."""
    widths = [max(map(cell_len, column)) for column in zip(headings, *rows, strict=True)]
    first = typer.style(_line([heading.upper() for heading in headings], widths), bold=True)
    return "\n".join([first, *(_line(row, widths) for row in rows)])


def ago(at: int | None, now: int) -> str:
    """Format a past time, like `5 min ago`."""
    if at is None:
        return NEVER
    return "just now" if now - at < SECOND_MS else f"{_span(now - at)} ago"


def ahead(at: int, now: int) -> str:
    """Format a coming time, like `in 5 min`."""
    return "now" if at - now < SECOND_MS else f"in {_span(at - now)}"


def _span(milliseconds: int) -> str:
    size, unit = next(one for one in _UNITS if milliseconds >= one[0])
    return f"{milliseconds // size} {unit}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)
    )
    return GAP.join(padded).rstrip()
