"""Where the dashboard computes: in one thread, one piece of work after the other.

Python runs one thread at a time. Several that read and render would each keep the interpreter from
the event loop and from the thread that commits, and a code would wait for pages to be drawn.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


async def aside(
    work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Do the work in the dashboard's thread and return its result."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_thread(), partial(work, *args, **kwargs))


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="dashboard")
