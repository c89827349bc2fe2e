"""Whole numbers, as people and programs write them in a field, a query or a path."""

MOST_DIGITS = 18
LARGEST = 10**MOST_DIGITS - 1  # fits a column of 64 bits


def whole_number(
    text: str, *, least: int = 0, most: int = LARGEST, padded: bool = True
) -> int | None:
    """Return the number that ASCII digits write; None for any other text and out of the range.

    Leading zeros are allowed unless it may not be `padded`.
    """
    if not text.isascii() or not text.isdecimal() or len(text) > MOST_DIGITS:
        return None
    number = int(text)
    if not least <= number <= most or (not padded and text != str(number)):
        return None
    return number
