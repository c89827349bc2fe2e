"""The OpenAPI document: what it says besides what Litestar reads from the handlers.

The send handler judges its raw body itself, so that each mistake gets its own words; what it reads
and answers is therefore described here. Litestar builds the document at the first request for it.
"""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from litestar import MediaType, Request, Router
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
    SecurityRequirement,
    SecurityScheme,
)

OPENAPI_PATH = "/api/openapi.json"
API_KEY = "X-API-KEY"
API_KEY_SECURITY: list[SecurityRequirement] = [{API_KEY: []}]
DESCRIPTION = "Verifies phone numbers: carries a code over WhatsApp and tells whether it arrived."


def openapi_config() -> OpenAPIConfig:
    """Describe the API, and serve the description as JSON at `OPENAPI_PATH` and nowhere else."""
    return OpenAPIConfig(
        title="Hudhud",
        version=version("hudhud"),
        description=DESCRIPTION,
        components=Components(
            security_schemes={
                API_KEY: SecurityScheme(
                    type="apiKey",
                    name=API_KEY,
                    security_scheme_in="header",
                    description="A key that `hudhud keys create` prints.",
                )
            }
        ),
        openapi_router=Router(
            OPENAPI_PATH,
            route_handlers=[],
            include_in_schema=False,
            before_request=_nothing_below,
        ),
        render_plugins=[JsonRenderPlugin(path="/", media_type=MediaType.JSON)],
    )


def _nothing_below(request: Request[Any, Any, Any]) -> None:
    """Undo the pages that Litestar adds below the document's own path."""
    if request.url.path.rstrip("/") != OPENAPI_PATH:
        raise NotFoundException


PHONE_NUMBER = Schema(
    type=OpenAPIType.OBJECT,
    required=["phoneNumber"],
    properties={
        "phoneNumber": Schema(
            type=OpenAPIType.STRING,
            pattern=r"^\+[1-9]\d{7,14}$",
            description="The number in international format; spaces around it are ignored.",
            examples=["+201001234567"],
        )
    },
)


@dataclass
class SendOperation(Operation):
    """Adds the body of POST /api/v1/otp/send, as JSON or as a form."""

    def __post_init__(self) -> None:
        """Describe the body that the handler reads without Litestar's help."""
        self.request_body = RequestBody(
            required=True,
            content={
                "application/json": OpenAPIMediaType(schema=PHONE_NUMBER),
                "application/x-www-form-urlencoded": OpenAPIMediaType(schema=PHONE_NUMBER),
            },
        )
