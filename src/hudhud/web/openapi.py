"""The OpenAPI document: what it says besides what Litestar reads from the handlers.

The handlers read their body and query themselves, so that each mistake gets its own words; what
they read and answer is therefore described here. Litestar builds the document at the first request
for it.
"""

from dataclasses import dataclass
from typing import Any

from litestar import MediaType, Request, Router
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    Example,
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    Reference,
    RequestBody,
    Schema,
    SecurityRequirement,
    SecurityScheme,
)

from hudhud import __version__
from hudhud.phones import INTERNATIONAL
from hudhud.web import auth, errors, phone_number
from hudhud.web.schemas import Message

OPENAPI_PATH = "/api/openapi.json"
API_KEY = "X-API-KEY"
API_KEY_SECURITY: list[SecurityRequirement] = [{API_KEY: []}]

PHONE_NUMBER = Schema(
    type=OpenAPIType.STRING,
    pattern=rf"^\s*{INTERNATIONAL.pattern}\s*$",
    description="The number in international format.",
    examples=["+201001234567"],
)
PHONE_NUMBER_BODY = Schema(
    type=OpenAPIType.OBJECT, required=["phoneNumber"], properties={"phoneNumber": PHONE_NUMBER}
)
PROBLEMS = {
    400: ("The sentence says what is wrong.", (phone_number.REQUIRED, phone_number.INVALID)),
    401: ("The API key is missing or wrong.", (auth.KEY_MISSING, auth.KEY_WRONG)),
    404: ("There is no such job.", ()),
    413: ("The body is larger than 1 MB.", (errors.TOO_LARGE,)),
    500: ("Unexpected: Hudhud's log tells more.", (errors.UNEXPECTED,)),
    503: ("Nothing was stored: try again after `Retry-After`.", (errors.UNAVAILABLE,)),
}


def openapi_config() -> OpenAPIConfig:
    """Describe the API, and serve the description as JSON at `OPENAPI_PATH` and nowhere else."""
    return OpenAPIConfig(
        title="Hudhud",
        version=__version__,
        description="Carries a code over WhatsApp and tells whether it arrived.",
        use_handler_docstrings=True,
        servers=[],
        components=Components(security_schemes={API_KEY: _api_key()}),
        openapi_router=Router(
            OPENAPI_PATH,
            route_handlers=[],
            include_in_schema=False,
            before_request=_nothing_below,
        ),
        render_plugins=[JsonRenderPlugin(path="/", media_type=MediaType.JSON)],
    )


def responses(*statuses: int) -> dict[int, ResponseSpec]:
    """Describe the answers of a handler that carry a sentence. Raises KeyError if unknown."""
    return {status: _problem(*PROBLEMS[status]) for status in statuses}


def _problem(description: str, sentences: tuple[str, ...]) -> ResponseSpec:
    examples = [Example(value=Message(sentence)) for sentence in sentences]
    return ResponseSpec(
        Message, description=description, examples=examples or None, generate_examples=False
    )


def _api_key() -> SecurityScheme:
    return SecurityScheme(
        type="apiKey",
        name=API_KEY,
        security_scheme_in="header",
        description="A key that `hudhud keys create` printed.",
    )


def _nothing_below(request: Request[Any, Any, Any]) -> None:
    """Undo the pages that Litestar adds below the document's own path."""
    if request.url.path.rstrip("/") != OPENAPI_PATH:
        raise NotFoundException


@dataclass
class ApiOperation(Operation):
    """Leaves out the 400 that Litestar expects of every parameter: ours are free text."""

    def __post_init__(self) -> None:
        """Drop the answer that no `responses` describes."""
        answers = self.responses or {}
        if _is_litestars_own(answers.get("400")):
            del answers["400"]


@dataclass
class SendOperation(ApiOperation):
    """Adds the body of POST /api/v1/otp/send, as JSON or as a form, and Retry-After."""

    def __post_init__(self) -> None:
        """Describe what the handler reads and answers without Litestar's help."""
        super().__post_init__()
        content = OpenAPIMediaType(schema=PHONE_NUMBER_BODY)
        self.request_body = RequestBody(
            required=True, content={phone_number.JSON: content, phone_number.FORM: content}
        )
        busy = (self.responses or {}).get("503")
        if isinstance(busy, OpenAPIResponse):
            seconds = Schema(type=OpenAPIType.INTEGER, minimum=1)
            busy.headers = {"Retry-After": OpenAPIHeader(schema=seconds, description="Seconds.")}


@dataclass
class SandboxOperation(ApiOperation):
    """Adds the query of GET /api/v1/sandbox/messages."""

    def __post_init__(self) -> None:
        """Describe what the handler reads without Litestar's help."""
        super().__post_init__()
        query = Parameter(name="phoneNumber", param_in="query", required=True, schema=PHONE_NUMBER)
        self.parameters = [query]


def _is_litestars_own(answer: OpenAPIResponse | Reference | None) -> bool:
    if not isinstance(answer, OpenAPIResponse) or answer.content is None:
        return False
    # Ours refer to a named schema, Litestar's carries its schema within.
    return all(isinstance(content.schema, Schema) for content in answer.content.values())
