"""Key pairs for key agreement and signatures."""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from waemu.curve import KeyPair, verify

seeds = st.binary(min_size=32, max_size=32)


@given(seeds, seeds)
def test_two_pairs_agree_on_one_secret(first: bytes, second: bytes) -> None:
    ours, theirs = KeyPair(first), KeyPair(second)
    assert ours.agree(theirs.public) == theirs.agree(ours.public)


def test_a_pair_agrees_with_a_plain_x25519_key() -> None:
    ours, theirs = KeyPair(), X25519PrivateKey.generate()
    secret = ours.agree(theirs.public_key().public_bytes_raw())
    assert secret == theirs.exchange(X25519PublicKey.from_public_bytes(ours.public))


@given(seeds, st.binary(max_size=100))
def test_x25519_key_verifies_a_signature(seed: bytes, message: bytes) -> None:
    pair = KeyPair(seed)
    assert verify(pair.public, message, pair.sign(message))


@given(st.binary(max_size=100), st.integers(0, 511))
def test_a_signature_with_one_bit_changed_is_refused(message: bytes, bit: int) -> None:
    pair = KeyPair()
    signature = bytearray(pair.sign(message))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verify(pair.public, message, bytes(signature))


def test_a_signature_of_another_message_or_key_is_refused() -> None:
    pair = KeyPair()
    signature = pair.sign(b"this")
    assert not verify(pair.public, b"that", signature)
    assert not verify(KeyPair().public, b"this", signature)
    assert not verify(pair.public, b"this", signature[:-1])
    assert not verify(b"\xff" * 31, b"this", signature)
