import pytest

from hudhud.core.errors import BadRequest
from hudhud.web.http.form_fields import form_fields

TOO_MANY = "too many"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", {}),
        (b"a=1&b=2", {"a": ["1"], "b": ["2"]}),
        (b"a=1&a=2", {"a": ["1", "2"]}),
        (b"a=&a=1&b", {"a": ["", "1"], "b": [""]}),
        (b"a=%D9%A1+%2B", {"a": ["\u0661 +"]}),
        (b"a=\xff", {"a": ["\ufffd"]}),
    ],
)
def test_each_field_has_its_values_in_order(body: bytes, fields: dict[str, list[str]]) -> None:
    assert form_fields(body, most=10, too_many=TOO_MANY) == fields


def test_as_many_fields_as_allowed_are_read() -> None:
    assert form_fields(b"a=1&a=2", most=2, too_many=TOO_MANY) == {"a": ["1", "2"]}


def test_more_fields_are_refused() -> None:
    with pytest.raises(BadRequest, match=TOO_MANY):
        form_fields(b"a=1&a=2&b=3", most=2, too_many=TOO_MANY)
