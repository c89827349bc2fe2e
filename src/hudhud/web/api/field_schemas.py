"""Schemas of fields of a body that may be written in several ways."""

from litestar.openapi.spec import OpenAPIFormat, OpenAPIType, Schema

from hudhud.core import code_lengths
from hudhud.messages.templates import language_tags
from hudhud.verification import codes
from hudhud.web.api.fields import FLAGS

LOCALE = Schema(
    type=OpenAPIType.STRING,
    max_length=language_tags.LONGEST_TAG,
    pattern=f"^{language_tags.SYNTAX}$",
    description=(
        "Language of the message; by default that of the key or the country. A language without "
        "texts is replaced by its parent (`pt-BR` by `pt`), otherwise by the default."
    ),
    examples=["ar"],
)
HIDE_CODE = Schema(
    any_of=[
        Schema(type=OpenAPIType.BOOLEAN),
        Schema(type=OpenAPIType.STRING, enum=list(FLAGS), description="In any letter case."),
    ],
    description="Omit `otp` from the response.",
)
CLIENT_IP = Schema(
    any_of=[
        Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.IPV4),
        Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.IPV6),
        Schema(
            type=OpenAPIType.STRING,
            pattern=r'^ *"?(\[[0-9A-Fa-f:.]+\]|[0-9.]+)(:[0-9]{1,5})?"? *$',
            description="An address with a port, brackets or quotes, which are ignored (RFC 7239).",
            examples=["192.0.2.1:4711", "[2001:db8::1]:4711"],
        ),
    ],
    description="Address of the user, for limits; one, not a list.",
)
TYPED_CODE = Schema(
    any_of=[
        Schema(type=OpenAPIType.STRING, min_length=1, max_length=codes.LONGEST_TYPED),
        Schema(
            type=OpenAPIType.INTEGER,
            minimum=0,
            maximum=10**code_lengths.LONGEST - 1,
            description="Compared with and without leading zeros.",
        ),
    ],
    description="What the user typed.",
)
