"""The server-sent events that keep an open dashboard up to date."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from litestar import Response, get
from litestar.response import ServerSentEvent, ServerSentEventMessage

from hudhud.web.admin.login.guard import authenticate_reader, is_still_in
from hudhud.web.admin.status.feed import Watcher, feed_of
from hudhud.web.admin.ui.actor import Actor
from hudhud.web.admin.ui.render import HEADERS
from hudhud.web.admin.ui.view import view_of
from hudhud.web.http.middleware import IS_HEAD
from hudhud.web.http.request import AnyRequest
from hudhud.web.timing import timing_of

RETRY_MS = 1500
# A proxy must forward each event at once (nginx reads this header).
STREAM_HEADERS = {**HEADERS, "X-Accel-Buffering": "no"}


@get("/admin/live", include_in_schema=False)
async def live(request: AnyRequest) -> Response[Any]:
    """Stream the changes of the status page until the session ends."""
    actor = await authenticate_reader(request)
    if request.scope["state"].get(IS_HEAD):
        return Response(b"", headers=STREAM_HEADERS, media_type="text/event-stream")
    return ServerSentEvent(_events(request, actor), headers=STREAM_HEADERS)


async def _events(request: AnyRequest, actor: Actor) -> AsyncIterator[ServerSentEventMessage]:
    feed = feed_of(request)
    watcher = feed.watch(view_of(request))
    try:
        yield ServerSentEventMessage(event="hello", data="", retry=RETRY_MS)
        async for message in _told(request, actor, watcher):
            yield message
    finally:
        feed.leave(watcher)


async def _told(
    request: AnyRequest, actor: Actor, watcher: Watcher
) -> AsyncIterator[ServerSentEventMessage]:
    """Yield the watcher's events and regular beats until it is cut off."""
    loop, beat = asyncio.get_running_loop(), timing_of(request).beat
    beat_at = loop.time() + beat
    while True:
        if loop.time() >= beat_at:  # even between frequent events
            if not await is_still_in(request, actor):
                yield ServerSentEventMessage(event="end", data="logged out")
                return
            beat_at = loop.time() + beat
            yield ServerSentEventMessage(event="beat", data="")
        try:
            async with asyncio.timeout_at(beat_at):
                event = await watcher.events.get()
        except TimeoutError:
            continue
        if event is None:
            return
        yield ServerSentEventMessage(event=event.name, data=event.data)
