"""The baseline of the framework: a Litestar route that only answers 202."""

import sys
from typing import Any, cast

import uvicorn
import uvloop
from litestar import Litestar, post


@post("/api/v1/otp/send", status_code=202)
async def answer() -> dict[str, str]:
    """Answer at once."""
    return {"message": "OTP request accepted and has been queued for sending."}


def main() -> None:
    """Serve the route on the given port with one of uvicorn's parsers, `httptools` or `h11`."""
    app = Litestar([answer], openapi_config=None, logging_config=None)
    config = uvicorn.Config(
        app,
        port=int(sys.argv[1]),
        http=cast("Any", sys.argv[2]),
        log_config=None,
        access_log=False,
        server_header=False,
    )
    uvloop.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
