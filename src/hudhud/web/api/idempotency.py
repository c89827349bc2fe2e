"""The header Idempotency-Key: the same request again gets the same answer."""

from collections.abc import Mapping
from typing import Final

from litestar.openapi.spec import OpenAPIHeader, OpenAPIType, Parameter, Schema

from hudhud.auth.caller import Caller
from hudhud.core.errors import BadRequest
from hudhud.verification.idempotency import IdempotentRequest
from hudhud.web.api.fields import INVALID, Fields
from hudhud.web.http.request import AnyRequest
from hudhud.web.state import state_of

KEY: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
LONGEST_KEY: Final = 255
KEY_PARAMETER: Final = Parameter(
    name=KEY,
    param_in="header",
    schema=Schema(type=OpenAPIType.STRING, pattern=f"^[!-~]{{1,{LONGEST_KEY}}}$"),
    description="Same key and body within 24 hours: same response, done once.",
)
REPLAYED_HEADER: Final = {
    REPLAYED: OpenAPIHeader(
        schema=Schema(const="true"), description="The response of an earlier, equal request."
    )
}


def idempotent_request(
    request: AnyRequest, fields: Fields, caller: Caller
) -> IdempotentRequest | None:
    """Return digests of the request's key and body, or None without a key.

    Raises BadRequest for a key of a wrong length.
    """
    key = request.headers.get(KEY)
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY:
        raise BadRequest(f"Bad Request: {KEY} must have 1 to {LONGEST_KEY} characters.", INVALID)
    return IdempotentRequest.of(caller.owner, key, fields.encoded(), state_of(request).cipher)


def headers(*, is_repeated: bool) -> Mapping[str, str]:
    """Return the header that marks the answer of an earlier request."""
    return {REPLAYED: "true"} if is_repeated else {}
