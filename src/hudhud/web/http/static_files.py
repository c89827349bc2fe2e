"""Static files, served from our origin and cached by browsers permanently.

`vendor/` holds the libraries that hatch_build.py copies from npm; all other files are ours.
"""

import asyncio
import gzip
import hashlib
import re
from functools import cached_property
from pathlib import Path, PurePosixPath

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from hudhud.core.clock import YEAR_SECONDS
from hudhud.web.http.request import AnyRequest

STATIC_PATH = "/static"
STATIC_FOLDER = Path(__file__).parents[1] / "static"
DIGEST_CHARACTERS = 12
NO_WEIGHT = re.compile(r"q\s*=\s*0(\.0*)?")

# Not from `mimetypes`, which depends on the machine: browsers refuse some types. RFC 9239 has one.
TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# Safe only because pages name every file through `static_url`.
KEPT = f"public, max-age={YEAR_SECONDS}, immutable"
# During an update, a page of another version may request a file whose content has changed.
NOT_KEPT = "no-store"


class StaticFiles:
    """The files of a folder, each read at its first request."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bodies: dict[str, bytes] = {}

    @cached_property
    def names(self) -> frozenset[str]:
        """The files' paths relative to the folder, with `/`."""
        found = (path for path in self._folder.rglob("*") if path.suffix in TYPES)
        return frozenset(path.relative_to(self._folder).as_posix() for path in found)

    @cached_property
    def digest(self) -> str:
        """A short digest of all files together."""
        digest = hashlib.sha256()
        for name in sorted(self.names):
            digest.update(f"{name}\0".encode() + self.body(name))
        return digest.hexdigest()[:DIGEST_CHARACTERS]

    def body(self, name: str) -> bytes:
        """Return a file's content."""
        return (self._folder / name).read_bytes()

    def compressed(self, name: str) -> bytes:
        """Return a file's content, compressed once."""
        if name not in self._bodies:
            self._bodies[name] = gzip.compress(self.body(name), mtime=0)
        return self._bodies[name]


FILES = StaticFiles(STATIC_FOLDER)


@get(f"{STATIC_PATH}/{{digest:str}}/{{name:path}}", include_in_schema=False)
async def static_file(
    request: AnyRequest, digest: FromPath[str], name: FromPath[PurePosixPath]
) -> Response[bytes]:
    """Send a static file, cacheable permanently only if the digest is current."""
    wanted = str(name).lstrip("/")
    if wanted not in FILES.names:
        raise NotFoundException
    return await asyncio.to_thread(_file, wanted, digest, is_compressed=takes_gzip(request))


def _file(name: str, digest: str, *, is_compressed: bool) -> Response[bytes]:
    headers = {
        "Cache-Control": KEPT if digest == FILES.digest else NOT_KEPT,
        "Vary": "Accept-Encoding",
    }
    if is_compressed:
        headers["Content-Encoding"] = "gzip"
    body = FILES.compressed(name) if is_compressed else FILES.body(name)
    return Response(body, headers=headers, media_type=TYPES[PurePosixPath(name).suffix])


def takes_gzip(request: AnyRequest) -> bool:
    """Return whether Accept-Encoding allows gzip, by name or by `*`, without `q=0`."""
    weights = {}
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = part.partition(";")
        weights[coding.strip()] = not NO_WEIGHT.fullmatch(weight.strip())
    return weights.get("gzip", weights.get("*", False))


def static_url(name: str) -> str:
    """Return the URL path of a static file, e.g. `vendor/uplot/uPlot.min.css`.

    It contains a digest of all files together, so that a script can import another one by its
    relative path.

    Raises:
        FileNotFoundError: no such file; `make install` adds those under `vendor/`.
    """
    if name not in FILES.names:
        raise FileNotFoundError(f"There is no static file {name}. Run: make install")
    return f"{STATIC_PATH}/{FILES.digest}/{name}"
