"""Request bodies, plain or compressed."""

import zlib

from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from hudhud.core.errors import BadRequest, UnsupportedBody
from hudhud.web.http.request import AnyRequest

PLAIN = ("", "identity")
# The formats of RFC 9110 8.4.1 by name; the second of deflate is raw, as some clients send it.
FORMATS = {
    "gzip": (zlib.MAX_WBITS | 16,),
    "x-gzip": (zlib.MAX_WBITS | 16,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}
NOT_SUPPORTED = (
    "The Content-Encoding of the body is not supported. Send the body uncompressed, or with one of "
    "gzip and deflate."
)
DAMAGED = "Bad Request: The compressed body is damaged. Send it again, or uncompressed."


async def body_of(request: AnyRequest) -> bytes:
    """Return the request's body, decompressed.

    Raises UnsupportedBody for an unknown or a second encoding, BadRequest for a damaged body, and
    RequestEntityTooLarge as soon as the body is larger than the route's limit, compressed or not.
    """
    coding = ",".join(request.headers.getall("content-encoding", [])).strip().lower()
    if coding in PLAIN:
        return await request.body()
    if coding not in FORMATS:
        raise UnsupportedBody(NOT_SUPPORTED, "unsupported_content_encoding")
    most = request.route_handler.resolve_request_max_body_size() or 0
    body = await request.body()
    for window_bits in FORMATS[coding]:
        inflated = _inflated(body, window_bits, most)
        if inflated is not None:
            return inflated
    raise BadRequest(DAMAGED, "damaged_body")


def _inflated(body: bytes, window_bits: int, most: int) -> bytes | None:
    """Return the decompressed body; None if it is damaged. Raises RequestEntityTooLarge."""
    stream = zlib.decompressobj(window_bits)
    try:
        inflated = stream.decompress(body, most + 1)
    except zlib.error:
        return None
    if len(inflated) > most:
        raise RequestEntityTooLarge
    return inflated if stream.eof and not stream.unused_data else None
