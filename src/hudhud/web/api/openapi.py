"""The parts of the OpenAPI document that Litestar cannot derive itself.

The handlers read body and query themselves, to give a specific error for each mistake, so their
requests and responses are described here. Litestar builds the document at its first request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar import MediaType, Router
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
from hudhud.core import code_lengths
from hudhud.core.phones import INTERNATIONAL
from hudhud.verification import codes
from hudhud.verification.lifecycle import STATUSES
from hudhud.verification.queries import LARGEST_PAGE
from hudhud.web.api import examples, idempotency
from hudhud.web.api.field_schemas import CLIENT_IP, HIDE_CODE, LOCALE, TYPED_CODE
from hudhud.web.http.request import FORM, JSON, AnyRequest
from hudhud.web.http.responses import Message

OPENAPI_PATH = "/api/openapi.json"
API_KEY = "X-API-KEY"
API_KEY_SECURITY: list[SecurityRequirement] = [{API_KEY: []}]
# No control characters, surrogates or direction marks.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$"


def _whole(description: str, least: int, most: int) -> Schema:
    return Schema(type=OpenAPIType.INTEGER, minimum=least, maximum=most, description=description)


VERIFICATION_ID = Schema(
    type=OpenAPIType.STRING, pattern="^v[0-9a-f]{43}$", description="The id that the send returned."
)

IDENTIFIER = Schema(
    type=OpenAPIType.STRING,
    pattern="^([1-9][0-9]{0,17}|v[0-9a-f]{43})$",
    description="A jobId, or the verificationId.",
)
# Parameters in paths.
IN_PATHS = {"identifier": IDENTIFIER, "verification_id": VERIFICATION_ID}
PHONE_NUMBER = Schema(
    type=OpenAPIType.STRING,
    pattern=rf"^\s*{INTERNATIONAL.pattern}\s*$",
    description="The number in international format.",
    examples=["+201001234567"],
)
REFERENCE = Schema(
    type=OpenAPIType.STRING, max_length=64, pattern=PRINTABLE, description="The caller's own id."
)
SEND_BODY = Schema(
    type=OpenAPIType.OBJECT,
    required=["phoneNumber"],
    properties={
        "phoneNumber": PHONE_NUMBER,
        "locale": LOCALE,
        "template": Schema(
            type=OpenAPIType.STRING,
            pattern="^[A-Za-z0-9_.-]{1,64}$",
            description="A template of templates.toml.",
            examples=["otp"],
        ),
        "length": _whole("Digits of the code.", code_lengths.SHORTEST, code_lengths.LONGEST),
        "ttlSeconds": _whole("How long the code is valid.", 60, 900),
        "code": Schema(
            type=OpenAPIType.STRING,
            pattern=f"^{codes.OWN.pattern}$",
            description="The caller's own code instead of a generated one.",
        ),
        "reference": REFERENCE,
        "metadata": Schema(
            type=OpenAPIType.OBJECT, description="Returned in events; at most 1,024 bytes as JSON."
        ),
        "hideCode": HIDE_CODE,
        "clientIp": CLIENT_IP,
    },
)
CHECK_BODY = Schema(
    type=OpenAPIType.OBJECT,
    required=["otp"],
    properties={
        "otp": TYPED_CODE,
        "phoneNumber": PHONE_NUMBER,
        "verificationId": VERIFICATION_ID,
        "jobId": _whole("The job that the send returned.", 1, 10**18 - 1),
    },
    description="With exactly one of phoneNumber, verificationId and jobId.",
    one_of=[
        Schema(required=["phoneNumber"]),
        Schema(required=["verificationId"]),
        Schema(required=["jobId"]),
    ],
)
LINK_BODY = Schema(
    type=OpenAPIType.OBJECT,
    properties={
        "mode": Schema(
            type=OpenAPIType.STRING,
            enum=["reply", "verify"],
            default="reply",
            description="Reply to the user's text with a code, or approve by the text itself.",
        ),
        "phoneNumber": PHONE_NUMBER,
        "reference": REFERENCE,
        "locale": LOCALE,
        "clientIp": CLIENT_IP,
        "redirectUrl": Schema(
            type=OpenAPIType.STRING,
            max_length=2000,
            pattern="^https?://[!-~]+$",
            description="The caller's next page; returned unchanged.",
        ),
    },
    description="In mode verify phoneNumber is required.",
)
TEXT = Schema(type=OpenAPIType.STRING)
RATE_LIMIT_HEADERS = {
    "RateLimit-Policy": OpenAPIHeader(schema=TEXT, description="The limits that apply."),
    "RateLimit": OpenAPIHeader(schema=TEXT, description="The remaining quota of each."),
}
RETRY_AFTER = {
    "Retry-After": OpenAPIHeader(
        schema=Schema(type=OpenAPIType.INTEGER, minimum=1), description="Seconds."
    )
}
PROBLEMS = {
    400: "The sentence says what is wrong.",
    401: "The API key is missing or invalid.",
    403: "The key, its address or the number's country is not allowed; see `error`.",
    404: "It does not exist or belongs to another key.",
    409: "Its state does not allow this; see `error`.",
    410: "It has expired.",
    413: "The body is larger than 100 KiB, decompressed.",
    415: "The body is multipart, or compressed otherwise.",
    422: "The Idempotency-Key was used with another body.",
    429: "A limit is reached. If there is a `Retry-After`, try again after it.",
    500: "Unexpected error; see Hudhud's log.",
    503: (
        "Nothing was stored. Try again after `Retry-After`. If `error` is `sender_restricted`, "
        "`detail` says how to reach the user before."
    ),
}


def openapi_config() -> OpenAPIConfig:
    """Return the configuration that serves the document at `OPENAPI_PATH` only, as JSON."""
    return OpenAPIConfig(
        title="Hudhud",
        version=__version__,
        description="Sends codes over WhatsApp and reports whether they arrived.",
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
    """Describe a handler's error responses. Raises KeyError for an unknown status."""
    return {
        status: ResponseSpec(Message, description=PROBLEMS[status], generate_examples=False)
        for status in statuses
    }


def _api_key() -> SecurityScheme:
    return SecurityScheme(
        type="apiKey",
        name=API_KEY,
        security_scheme_in="header",
        description="A key that `hudhud keys create` printed.",
    )


def _nothing_below(request: AnyRequest) -> None:
    """Disable the pages that Litestar adds below the document's path."""
    if request.url.path.rstrip("/") != OPENAPI_PATH:
        raise NotFoundException


@dataclass
class ApiOperation(Operation):
    """Removes the 400 that Litestar adds for parameters: ours are free text.

    Describes the parameters in paths, and adds examples of the answers.
    """

    def __post_init__(self) -> None:
        """Drop the response that no `responses` describes."""
        answers = self.responses or {}
        if _is_litestars_own(answers.get("400")):
            del answers["400"]
        for status, response in answers.items():
            _add_examples(response, examples.answers(self.summary, int(status)))
        for parameter in self.parameters or []:
            if isinstance(parameter, Parameter) and parameter.name in IN_PATHS:
                parameter.schema = IN_PATHS[parameter.name]


@dataclass
class SendOperation(ApiOperation):
    """Adds the body and headers of POST /api/v1/otp/send."""

    def __post_init__(self) -> None:
        """Describe what the handler reads and answers without Litestar's help."""
        super().__post_init__()
        self.request_body = _body(SEND_BODY, self.summary)
        _accept_idempotency_key(self, "202")
        _add_limit_headers(self)


@dataclass
class CheckOperation(ApiOperation):
    """Adds the body and headers of POST /api/v1/otp/verify."""

    def __post_init__(self) -> None:
        """Describe what the handler reads without Litestar's help."""
        super().__post_init__()
        self.request_body = _body(CHECK_BODY, self.summary)
        _accept_idempotency_key(self, "200")


@dataclass
class LinkOperation(ApiOperation):
    """Adds the body and headers of POST /api/v1/otp/link."""

    def __post_init__(self) -> None:
        """Describe what the handler reads and answers without Litestar's help."""
        super().__post_init__()
        self.request_body = _body(LINK_BODY, self.summary)
        _accept_idempotency_key(self, "201")
        _add_limit_headers(self)


@dataclass
class ShowOperation(ApiOperation):
    """Adds the query of GET /api/v1/otp/{identifier}."""

    def __post_init__(self) -> None:
        """Describe what the handler reads without Litestar's help."""
        super().__post_init__()
        wait = _whole("Longest time in seconds to wait for the verification's end.", 0, 60)
        self.parameters = [
            *(self.parameters or []),
            Parameter(name="wait", param_in="query", schema=wait),
        ]


@dataclass
class ListOperation(ApiOperation):
    """Adds the query of GET /api/v1/otp."""

    def __post_init__(self) -> None:
        """Describe what the handler reads without Litestar's help."""
        super().__post_init__()
        status = Schema(type=OpenAPIType.STRING, enum=list(STATUSES))
        query = {
            "phoneNumber": PHONE_NUMBER,
            "reference": REFERENCE,
            "status": Schema(
                type=OpenAPIType.ARRAY,
                items=status,
                description="One or several, separated by commas.",
            ),
            "cursor": VERIFICATION_ID,
            "limit": _whole("Number of verifications.", 1, LARGEST_PAGE),
        }
        self.parameters = [
            Parameter(name=name, param_in="query", schema=schema, style="form", explode=False)
            for name, schema in query.items()
        ]


@dataclass
class ResendOperation(ApiOperation):
    """Adds the headers of POST /api/v1/otp/{identifier}/resend."""

    def __post_init__(self) -> None:
        """Describe what the handler reads and answers without Litestar's help."""
        super().__post_init__()
        _accept_idempotency_key(self, "202")
        _add_limit_headers(self)


@dataclass
class SandboxOperation(ApiOperation):
    """Adds the query of GET /api/v1/sandbox/messages."""

    def __post_init__(self) -> None:
        """Describe what the handler reads without Litestar's help."""
        super().__post_init__()
        query = Parameter(name="phoneNumber", param_in="query", required=True, schema=PHONE_NUMBER)
        self.parameters = [query]


@dataclass
class InboundOperation(ApiOperation):
    """Adds the body of POST /api/v1/sandbox/inbound."""

    def __post_init__(self) -> None:
        """Describe what the handler reads without Litestar's help."""
        super().__post_init__()
        text = Schema(
            type=OpenAPIType.STRING,
            min_length=1,
            max_length=4096,
            description="The person's message, which contains a link's token.",
        )
        self.request_body = _body(
            Schema(
                type=OpenAPIType.OBJECT,
                required=["phoneNumber", "text"],
                properties={"phoneNumber": PHONE_NUMBER, "text": text},
            ),
            self.summary,
        )


def _body(schema: Schema, summary: str | None) -> RequestBody:
    shown = examples.REQUESTS.get(summary or "", {})
    content = OpenAPIMediaType(schema=schema, examples=_named(shown) or None)
    return RequestBody(required=True, content={JSON: content, FORM: content})


def _add_examples(response: OpenAPIResponse | Reference, shown: examples.Examples) -> None:
    if isinstance(response, OpenAPIResponse) and shown:
        for content in (response.content or {}).values():
            if isinstance(content, OpenAPIMediaType):
                content.examples = _named(shown)


class _Verbatim(Example):
    """An example whose null fields Litestar does not leave out."""

    def to_schema(self) -> dict[str, Any]:
        """Return the example as the document contains it."""
        return {"summary": self.summary, "value": self.value}


def _named(shown: examples.Examples) -> dict[str, Example | Reference]:
    """Name each example by its title, as the page lists them."""
    return {title: _Verbatim(summary=title, value=value) for title, value in shown.items()}


def _accept_idempotency_key(operation: Operation, status: str) -> None:
    operation.parameters = [*(operation.parameters or []), idempotency.KEY_PARAMETER]
    _add_headers(operation, idempotency.REPLAYED_HEADER, status)


def _add_limit_headers(operation: Operation) -> None:
    _add_headers(operation, RATE_LIMIT_HEADERS, "201", "202", "429")
    _add_headers(operation, RETRY_AFTER, "429", "503")


def _add_headers(
    operation: Operation, headers: Mapping[str, OpenAPIHeader], *statuses: str
) -> None:
    for status in statuses:
        answer = (operation.responses or {}).get(status)
        if isinstance(answer, OpenAPIResponse):
            answer.headers = {**(answer.headers or {}), **headers}


def _is_litestars_own(answer: OpenAPIResponse | Reference | None) -> bool:
    if not isinstance(answer, OpenAPIResponse) or answer.content is None:
        return False
    # Ours refer to a named schema; Litestar's has an inline one.
    return all(isinstance(content.schema, Schema) for content in answer.content.values())
