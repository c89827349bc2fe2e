"""Parse whole numbers from form fields, queries and paths."""

MOST_DIGITS = 18
LARGEST = 10**MOST_DIGITS - 1  # fits a 64-bit column


def whole_number(
    text: str, *, least: int = 0, most: int = LARGEST, padded: bool = True
) -> int | None:
    """Parse a number from ASCII digits.

    Returns None for any other text, and for numbers outside `least` to `most`. `padded` allows
    leading zeros.
    """
    if not text.isascii() or not text.isdecimal() or len(text) > MOST_DIGITS:
        return None
    number = int(text)
    if not least <= number <= most or (not padded and text != str(number)):
        return None
    return number
