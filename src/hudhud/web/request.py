"""The type of the requests that routes take."""

from typing import Any

from litestar import Request

AnyRequest = Request[Any, Any, Any]
