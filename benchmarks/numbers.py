"""Measure reading phone numbers: the fast path, and libphonenumber's parser."""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from hudhud.core.numbering import canonical, canonical_by_parser

COUNT = 1000


def numbers(_folder: Path) -> Iterator[tuple[str, str, str]]:
    """Measure reading 1,000 example numbers."""
    found = list(itertools.islice(itertools.cycle(_examples()), COUNT))
    for what, read, goal in (
        ("reading a number", canonical, "≤ 20 µs"),
        ("the same by the parser alone", canonical_by_parser, ""),
    ):
        yield f"{what}, median of {COUNT:,}", f"{_median_microseconds(read, found):.1f} µs", goal


def _median_microseconds(read: Callable[[str], str | None], found: list[str]) -> float:
    for number in found:  # builds the rules of each country, once per process
        read(number)
    times = []
    for number in found:
        began = time.perf_counter_ns()
        read(number)
        times.append(time.perf_counter_ns() - began)
    return statistics.median(times) / 1000


def _examples() -> list[str]:
    """Return the library's example numbers of people in all regions."""
    examples = (
        phonenumbers.example_number_for_type(region, kind)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        for kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE)
    )
    return [phonenumbers.format_number(one, PhoneNumberFormat.E164) for one in examples if one]
