"""The files that pages load: served from our own origin and kept by browsers for good.

`vendor/` holds the libraries that hatch_build.py takes from npm; everything else is ours.
"""

import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from litestar.datastructures import CacheControlHeader
from litestar.static_files import create_static_files_router

STATIC_PATH = "/static"
STATIC_FOLDER = Path(__file__).parent / "static"
ONE_YEAR = 365 * 24 * 3600

# Machines name scripts differently, some so that browsers refuse them; RFC 9239 names one type.
mimetypes.add_type("text/javascript", ".js")

static_router = create_static_files_router(
    path=STATIC_PATH,
    directories=[STATIC_FOLDER],
    # Safe only because pages name every file through `static_url`.
    cache_control=CacheControlHeader(public=True, max_age=ONE_YEAR, immutable=True),
)


@cache
def static_url(name: str) -> str:
    """Return the address of a file of the static folder, e.g. `vendor/uplot/uplot.css`.

    It carries a digest of the content, so that a changed file has another address.

    Raises:
        FileNotFoundError: no such file; those under `vendor/` come with `make install`.
    """
    digest = hashlib.sha256((STATIC_FOLDER / name).read_bytes()).hexdigest()
    return f"{STATIC_PATH}/{name}?v={digest[:12]}"
