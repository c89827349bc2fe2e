"""The stanza codec."""

import contextlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waemu.binary import Jid, Node, StanzaError, decode, encode
from waemu.tokens import DOUBLE, SINGLE

words = st.sampled_from(SINGLE[1:]) | st.sampled_from(DOUBLE[0])
digits = st.text("0123456789-.", min_size=1, max_size=130)
hexadecimal = st.text("0123456789ABCDEF", min_size=1, max_size=130)
texts = words | digits | hexadecimal | st.text(max_size=300)
users = st.text("0123456789", min_size=1, max_size=20)
jids = st.builds(Jid, users, st.sampled_from(["s.whatsapp.net", "lid"]), st.integers(0, 255))
servers = st.builds(Jid, st.just("") | users, st.sampled_from(["s.whatsapp.net", "g.us"]))
attrs = st.dictionaries(texts.filter(bool), texts | jids | servers, max_size=6)
leaves = st.builds(Node, texts.filter(bool), attrs, st.none() | st.binary(max_size=400))
nodes = st.recursive(
    leaves,
    lambda children: st.builds(
        Node, texts.filter(bool), attrs, st.lists(children, min_size=1, max_size=4)
    ),
    max_leaves=12,
)


@given(nodes)
def test_decoding_reverses_encoding(node: Node) -> None:
    assert decode(encode(node)) == node


@given(nodes)
def test_a_compressed_stanza_decodes_to_the_same(node: Node) -> None:
    assert decode(b"\x02" + zlib.compress(encode(node)[1:])) == node


@pytest.mark.parametrize("size", [0, 255, 256, (1 << 20) - 1, 1 << 20])
def test_data_of_every_size_keeps_its_length(size: int) -> None:
    assert decode(encode(Node("enc", {}, bytes(size)))).data == bytes(size)


def test_long_list_of_children_is_preserved() -> None:
    node = Node("list", {}, [Node("key", {"id": str(number)}) for number in range(812)])
    assert decode(encode(node)) == node


def test_dictionary_words_take_one_byte_and_digits_half_a_byte() -> None:
    assert encode(Node("message")) == bytes([0, 248, 1, SINGLE.index("message")])
    number = encode(Node("message", {"id": "15550001111"}))
    assert number == encode(Node("message"))[:1] + bytes(
        [248, 3, 19, 8, 255, 0x86]
    ) + bytes.fromhex("15550001111f")


@given(st.binary(max_size=200))
def test_invalid_bytes_raise_only_stanza_errors(data: bytes) -> None:
    with contextlib.suppress(StanzaError):
        decode(data)


@given(nodes, st.data())
def test_truncated_stanza_is_refused(node: Node, data: st.DataObject) -> None:
    whole = encode(node)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(StanzaError):
        decode(whole[:cut])


def test_find_searches_by_path() -> None:
    node = Node("iq", {"id": "1"}, [Node("a", {}, [Node("b", {}, b"x"), Node("b", {}, b"y")])])
    found = node.need("a", "b")
    assert found.data == b"x"
    assert len(node.need("a").all("b")) == 2
    assert node.find("a", "c") is None
    with pytest.raises(StanzaError, match="has no <a/c>"):
        node.need("a", "c")
    with pytest.raises(StanzaError, match="no address"):
        node.jid("id")
    assert str(node) == '<iq id="1"><a><b>1 bytes</b><b>1 bytes</b></a></iq>'
