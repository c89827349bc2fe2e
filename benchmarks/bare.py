"""The baseline of the framework: a Litestar route that only answers 202."""

import sys

import uvicorn
import uvloop
from litestar import Litestar, post


@post("/api/v1/otp/send", status_code=202)
async def answer() -> dict[str, str]:
    """Answer at once."""
    return {"message": "OTP request accepted and has been queued for sending."}


def main() -> None:
    """Serve the route on the given port, configured as Hudhud's own server."""
    app = Litestar([answer], openapi_config=None, logging_config=None)
    config = uvicorn.Config(
        app,
        port=int(sys.argv[1]),
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    uvloop.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
