"""The small Protocol Buffers codec, against the real one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message as RealMessage

from waemu import protobuf

numbers = st.integers(1, 1 << 20)
values = st.integers(0, (1 << 64) - 1) | st.binary(max_size=300)


@given(st.dictionaries(numbers, st.lists(values, min_size=1, max_size=3), max_size=5))
def test_what_is_encoded_decodes_to_the_same(fields: dict[int, list[int | bytes]]) -> None:
    assert protobuf.decode(protobuf.encode(fields)).fields == fields
