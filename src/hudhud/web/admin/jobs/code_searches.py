"""Which searches for a code are news: a page that reads its own list again makes no new ones."""

from typing import cast

from cachetools import TTLCache

from hudhud.core.crypto import CodeCipher
from hudhud.web.http.request import AnyRequest

SAME_SECONDS = 10 * 60
MOST_KEPT = 1000


class CodeSearches:
    """Remembers, for a while and without the codes, who searched for which."""

    def __init__(self, cipher: CodeCipher) -> None:
        self._cipher = cipher
        self._seen: TTLCache[tuple[str, bytes], bool] = TTLCache(MOST_KEPT, SAME_SECONDS)

    def is_new(self, who: str, code: str) -> bool:
        """Tell whether `who` has not searched for this code lately; called on the event loop."""
        key = (who, self._cipher.index(code))
        if key in self._seen:
            return False
        self._seen[key] = True
        return True


def code_searches_of(request: AnyRequest) -> CodeSearches:
    """Return the code searches of the application that got the request."""
    return cast("CodeSearches", request.app.state.code_searches)
