"""Compressed bodies, as the earlier application accepted them."""

import gzip
import json
import zlib

import pytest

from hudhud.web.application import LARGEST_BODY
from support.admin import LOGIN
from support.web_server import PHONE, SEND, WebServer

OBJECT = json.dumps({"phoneNumber": PHONE}).encode()


def raw_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


def statuses(api: WebServer, body: bytes, *codings: str, path: str = SEND) -> tuple[int, str]:
    headers = [("Content-Type", "application/json"), *(("Content-Encoding", c) for c in codings)]
    answer = api.client.post(path, content=body, headers=headers)
    return answer.status_code, answer.json().get("error", "")


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(OBJECT)),
        ("GZIP", gzip.compress(OBJECT)),
        ("x-gzip", gzip.compress(OBJECT)),
        ("deflate", zlib.compress(OBJECT)),
        ("deflate", raw_deflate(OBJECT)),
        ("identity", OBJECT),
    ],
    ids=["gzip", "in capitals", "x-gzip", "deflate", "raw deflate", "identity"],
)
def test_compressed_body_is_accepted(api: WebServer, coding: str, body: bytes) -> None:
    assert statuses(api, body, coding) == (202, "")


def test_limit_counts_the_decompressed_body(api: WebServer) -> None:
    padding = b" " * (LARGEST_BODY - len(OBJECT))
    assert statuses(api, gzip.compress(OBJECT + padding), "gzip")[0] == 202
    assert statuses(api, gzip.compress(OBJECT + padding + b" "), "gzip")[0] == 413
    bomb = gzip.compress(b" " * 10_000_000)
    assert statuses(api, bomb, "gzip")[0] == 413


@pytest.mark.parametrize("codings", [("br",), ("gzip, gzip",), ("gzip", "gzip"), ("nothing",)])
def test_other_encodings_are_refused(api: WebServer, codings: tuple[str, ...]) -> None:
    body = gzip.compress(OBJECT)
    assert statuses(api, body, *codings) == (415, "unsupported_content_encoding")


@pytest.mark.parametrize(
    "body",
    [OBJECT, b"", gzip.compress(OBJECT)[:-4], gzip.compress(OBJECT) + b"rest"],
    ids=["not compressed", "empty", "cut off", "with a rest"],
)
def test_damaged_body_is_refused(api: WebServer, body: bytes) -> None:
    assert statuses(api, body, "gzip") == (400, "damaged_body")


def test_limit_of_logins_counts_the_decompressed_body(served: WebServer) -> None:
    body = gzip.compress(b"{" + b" " * 20_000 + b"}")
    assert statuses(served, body, "gzip", path=LOGIN)[0] == 413
