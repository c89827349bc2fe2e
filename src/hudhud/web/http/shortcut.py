"""Run a route's handler without Litestar's layers around it.

For the routes whose speed matters, sends and checks (docs/decisions/0020-a-shortcut-for-sends.md).
The handler, its errors and their answers are those of the route; only routing, the framework's
error handling and its building of responses are left out.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

import msgspec
from litestar import Litestar, Request, Response
from litestar.routes import HTTPRoute
from litestar.types import ExceptionHandlersMap, HTTPScope, Receive, Send

from hudhud.web.http.request import AnyRequest

METHOD: Final = "POST"
Handler = Callable[[AnyRequest], Awaitable[Response[Any]]]


class Shortcut:
    """Answers the requests of one route; its handler takes only the request."""

    def __init__(self, app: Litestar, path: str) -> None:
        """`path` is that of a registered route for POST. Raises StopIteration if there is none."""
        routes = (route for route in app.routes if isinstance(route, HTTPRoute))
        handlers = (one for route in routes if route.path == path for one in route.route_handlers)
        self._app = app
        self._route = next(one for one in handlers if METHOD in one.http_methods)
        self._handler = cast("Handler", self._route.fn)
        self._error_handlers = cast("ExceptionHandlersMap", app.exception_handlers)

    async def answer(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["litestar_app"] = self._app
        scope["route_handler"] = self._route  # has the limit of the body
        scope.setdefault("state", {})
        request: AnyRequest = Request(scope, receive, send)
        try:
            response = await self._handler(request)
        except Exception as error:  # every request needs an answer
            response = self._of_error(request, error)
        await self._send(response, send)

    def _of_error(self, request: AnyRequest, error: Exception) -> Response[Any]:
        kinds = type(error).__mro__
        handler = next(self._error_handlers[kind] for kind in kinds if kind in self._error_handlers)
        return handler(request, cast("Any", error))

    async def _send(self, response: Response[Any], send: Send) -> None:
        body = msgspec.json.encode(response.content)
        headers = [
            (b"content-type", str(response.media_type).encode()),
            (b"content-length", str(len(body)).encode()),
            *_encoded(response.headers),
        ]
        await send(
            {
                "type": "http.response.start",
                "status": response.status_code or self._route.status_code,
                "headers": headers,
            }
        )
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _encoded(headers: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), str(value).encode()) for name, value in headers.items()]
