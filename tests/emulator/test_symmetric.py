"""Key derivation and ciphers, checked with published examples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waemu.symmetric import cbc_decrypt, cbc_encrypt, ctr_crypt, hkdf, hmac_sha256

keys = st.binary(min_size=32, max_size=32)
ivs = st.binary(min_size=16, max_size=16)


def test_hkdf_matches_the_first_example_of_rfc_5869() -> None:
    derived = hkdf(
        b"\x0b" * 22, 42, salt=bytes(range(13)), info=bytes.fromhex("f0f1f2f3f4f5f6f7f8f9")
    )
    assert derived.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_hmac_matches_the_second_example_of_rfc_4231() -> None:
    assert hmac_sha256(b"Jefe", b"what do ya want for nothing?").hex() == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


@given(keys, ivs, st.binary(max_size=100))
def test_decryption_reverses_encryption(key: bytes, iv: bytes, data: bytes) -> None:
    assert cbc_decrypt(key, iv, cbc_encrypt(key, iv, data)) == data
    assert ctr_crypt(key, iv, ctr_crypt(key, iv, data)) == data


def test_a_ciphertext_with_wrong_padding_or_length_is_refused() -> None:
    key, iv = bytes(32), bytes(16)
    with pytest.raises(ValueError, match="padding"):
        cbc_decrypt(key, iv, ctr_crypt(key, iv, bytes(16)))
    with pytest.raises(ValueError, match="block length"):
        cbc_decrypt(key, iv, bytes(15))
