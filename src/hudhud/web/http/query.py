"""Write addresses with a query."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode


def with_query(path: str, query: Mapping[str, object] | Sequence[tuple[str, object]]) -> str:
    """Return the path, followed by the query unless that is empty."""
    return f"{path}?{urlencode(query)}" if query else path
