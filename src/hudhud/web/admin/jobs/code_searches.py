"""Recent searches for codes, so that reloads are not audited again."""

from typing import cast

from cachetools import TTLCache

from hudhud.core.crypto import CodeCipher
from hudhud.web.http.request import AnyRequest

SAME_SECONDS = 10 * 60
MOST_KEPT = 1000


class CodeSearches:
    """Recent searches, by person and keyed hash of the code."""

    def __init__(self, cipher: CodeCipher) -> None:
        self._cipher = cipher
        self._seen: TTLCache[tuple[str, bytes], bool] = TTLCache(MOST_KEPT, SAME_SECONDS)

    def is_new(self, who: str, code: str) -> bool:
        """Return whether this search is not a recent one; event loop only."""
        key = (who, self._cipher.index(code))
        if key in self._seen:
            return False
        self._seen[key] = True
        return True


def code_searches_of(request: AnyRequest) -> CodeSearches:
    """Return the code searches of the request's application."""
    return cast("CodeSearches", request.app.state.code_searches)
