"""The small Protocol Buffers codec, alone and compared with Google's."""

import contextlib

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from waemu import protobuf

numbers = st.integers(1, 1 << 20)
integers = st.integers(0, (1 << 64) - 1)
values = integers | st.binary(max_size=300)


@given(st.dictionaries(numbers, st.lists(values, min_size=1, max_size=3), max_size=5))
def test_decoding_reverses_encoding(fields: dict[int, list[int | bytes]]) -> None:
    assert protobuf.decode(protobuf.encode(fields)).fields == fields


@given(st.integers(1, (1 << 62) - 1), st.integers(1, (1 << 31) - 1))
def test_numbers_are_compatible_with_google(seconds: int, nanos: int) -> None:
    ours = protobuf.encode({1: seconds, 2: nanos})
    assert ours == Timestamp(seconds=seconds, nanos=nanos).SerializeToString()
    message = protobuf.decode(ours)
    assert (message.integer(1), message.integer(2)) == (seconds, nanos)


@given(st.text(min_size=1), st.binary(min_size=1))
def test_text_and_bytes_are_compatible_with_google(text: str, data: bytes) -> None:
    real = AnyMessage.FromString(protobuf.encode({1: text, 2: data}))
    assert (real.type_url, real.value) == (text, data)


@given(st.lists(st.text()))
def test_repeated_field_is_written_once_per_value(paths: list[str]) -> None:
    assert protobuf.encode({1: paths}) == FieldMask(paths=paths).SerializeToString()


def test_fields_that_are_absent_or_of_another_type_are_none() -> None:
    message = protobuf.decode(protobuf.encode({1: 5, 2: b"x", 3: protobuf.encode({1: 7})}))
    assert message.data(1) is None
    assert message.integer(2) is None
    assert message.integer(9) is None
    assert message.message(9) is None
    inner = message.message(3)
    assert inner is not None
    assert inner.integer(1) == 7
    with pytest.raises(protobuf.ProtobufError, match="field 9 is missing"):
        message.need(9)


def test_fixed_size_numbers_are_read_as_bytes() -> None:
    assert protobuf.decode(b"\x0d1234\x1187654321").fields == {1: [b"1234"], 2: [b"87654321"]}


@given(st.binary(max_size=100))
def test_invalid_bytes_raise_only_protobuf_errors(data: bytes) -> None:
    with contextlib.suppress(protobuf.ProtobufError):
        protobuf.decode(data)
