"""What the framework of the earlier application did for every route."""

from typing import cast

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import (
    HTTPScope,
    LifeSpanReceive,
    LifeSpanScope,
    LifeSpanSend,
    Receive,
    Scope,
    Send,
)

from hudhud.web.http.guarded_headers import guarded

# In the scope's state, for routes whose answer to GET would never end.
IS_HEAD = "is_head"


class DropIn(Litestar):
    """Answers HEAD like GET; the server leaves the body out.

    It sets the headers that answers under some paths have (`guarded_headers.py`).
    """

    async def __call__(
        self,
        scope: Scope | LifeSpanScope,
        receive: Receive | LifeSpanReceive,
        send: Send | LifeSpanSend,
    ) -> None:
        """Answer one request."""
        if scope.get("method") == "HEAD":
            state = {**cast("HTTPScope", scope).get("state", {}), IS_HEAD: True}
            scope = cast("HTTPScope", {**scope, "method": "GET", "state": state})
        if scope["type"] == ScopeType.HTTP:
            send = guarded(cast("HTTPScope", scope), cast("Send", send))
        await super().__call__(scope, receive, send)
