"""URLs with a query."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode


def with_query(path: str, query: Mapping[str, object] | Sequence[tuple[str, object]]) -> str:
    """Return the path with the query, if that is not empty."""
    return f"{path}?{urlencode(query)}" if query else path
