"""The single thread in which the dashboard reads and renders.

Python runs one thread at a time: several render threads would compete for the GIL with the event
loop and the commit thread, and codes would wait for pages.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, ParamSpec, TypeVar

from litestar import Litestar, Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from hudhud.web.http.request import AnyRequest

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


async def in_render_thread(
    work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Run the work in the dashboard's thread and return its result."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_thread(), partial(work, *args, **kwargs))


def in_render_thread_soon(work: Callable[[], None], seconds: float) -> asyncio.TimerHandle:
    """Run the work in the dashboard's thread after a delay, without waiting."""
    return asyncio.get_running_loop().call_later(seconds, _thread().submit, work)


class RenderedLater(Response[Any]):
    """A response made in the dashboard's thread, for synchronous error handlers.

    `headers` are added to those of the response that `make` returns.
    """

    def __init__(
        self, make: Callable[[], Response[Any]], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(None, headers=headers)
        self._make = make

    def to_asgi_response(
        self, app: Litestar | None, request: AnyRequest, **kwargs: Any
    ) -> ASGIResponse:
        """Return an ASGI response that makes the response when it is sent."""
        return _RenderedLaterASGI(self, app, request, kwargs)

    async def made(self) -> Response[Any]:
        """Make the response."""
        response = await in_render_thread(self._make)
        response.headers.update(self.headers)
        return response


class _RenderedLaterASGI(ASGIResponse):
    def __init__(
        self,
        later: RenderedLater,
        app: Litestar | None,
        request: AnyRequest,
        kwargs: dict[str, Any],
    ) -> None:
        super().__init__()
        self._later = later
        self._app = app
        self._request = request
        self._kwargs = kwargs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        made = await self._later.made()
        response = made.to_asgi_response(self._app, self._request, **self._kwargs)
        await response(scope, receive, send)


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="dashboard")
