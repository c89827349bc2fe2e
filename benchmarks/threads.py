"""Run threads next to a measurement."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def running(work: Callable[[threading.Event], None], count: int = 1) -> Iterator[None]:
    """Run `work` in `count` threads; at the end set its event and wait for them."""
    stopping = threading.Event()
    threads = [threading.Thread(target=work, args=(stopping,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
