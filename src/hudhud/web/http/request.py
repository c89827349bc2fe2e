"""The type of the requests that handlers receive."""

from typing import Any

from litestar import Request

AnyRequest = Request[Any, Any, Any]
