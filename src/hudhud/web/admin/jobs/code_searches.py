"""Which searches for a code are news: a page that reads its own list again makes no new ones."""

import threading
from collections import OrderedDict
from typing import cast

from hudhud.core.clock import MINUTE_MS
from hudhud.core.crypto import CodeCipher
from hudhud.web.http.request import AnyRequest

SAME_MS = 10 * MINUTE_MS
MOST_KEPT = 1000


class CodeSearches:
    """Remembers, for a while and without the codes, who searched for which."""

    def __init__(self, cipher: CodeCipher) -> None:
        self._cipher = cipher
        self._seen: OrderedDict[tuple[str, bytes], int] = OrderedDict()
        self._changing = threading.Lock()

    def is_new(self, who: str, code: str, *, now: int) -> bool:
        """Tell whether `who` has not searched for this code within `SAME_MS`."""
        key = (who, self._cipher.index(code))
        with self._changing:
            last = self._seen.get(key)
            if last is not None and now - last < SAME_MS:
                return False
            self._seen[key] = now
            self._seen.move_to_end(key)
            while len(self._seen) > MOST_KEPT:
                self._seen.popitem(last=False)
        return True


def code_searches_of(request: AnyRequest) -> CodeSearches:
    """Return the code searches of the application that got the request."""
    return cast("CodeSearches", request.app.state.code_searches)
