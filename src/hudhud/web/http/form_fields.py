"""The fields of a form, for the API and the dashboard."""

from collections.abc import Sequence
from urllib.parse import parse_qs

from hudhud.core.errors import BadRequest
from hudhud.core.sentences import Sentence


def form_fields(body: bytes, *, most: int, too_many: Sentence | str) -> dict[str, Sequence[str]]:
    """Return each field's values, even empty ones; replace invalid UTF-8.

    Raises BadRequest with the text `too_many` for a form of more than `most` fields.
    """
    text = body.decode("utf-8", "replace")
    try:
        return {**parse_qs(text, keep_blank_values=True, max_num_fields=most)}
    except ValueError:
        raise BadRequest(too_many) from None
