"""Lengths of codes: possible ones, and those that apply without a request's or key's own."""

from typing import Final

SHORTEST: Final = 4
LONGEST: Final = 10
# For keys whose codes Hudhud checks: of a million codes, five tries hit one in 200,000 cases.
CHECKED_HERE: Final = 6
# For programs of the earlier application and keys made before keys had a length.
EARLIER: Final = 4
