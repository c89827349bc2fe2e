"""Storage of codes: digest, index, seal, and the rotation of the secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudhud.core.crypto import CodeCipher, SealingError, derive

SECRET = "a secret of the tests"
NEWER = "the secret after it, of the tests"
codes = st.text("0123456789", min_size=4, max_size=10)


@given(codes)
def test_a_sealed_code_opens_for_its_verification(code: str) -> None:
    cipher = CodeCipher(SECRET)
    sealed = cipher.codes.seal("v_1", code)
    assert cipher.codes.open("v_1", sealed) == code
    assert code.encode() not in sealed


def test_seal_differs_each_time_for_the_same_code() -> None:
    cipher = CodeCipher(SECRET)
    assert cipher.codes.seal("v_1", "0345") != cipher.codes.seal("v_1", "0345")


def test_sealed_code_does_not_open_for_another_verification() -> None:
    cipher = CodeCipher(SECRET)
    with pytest.raises(SealingError, match="damaged"):
        cipher.codes.open("v_2", cipher.codes.seal("v_1", "0345"))


def test_sealed_code_does_not_open_with_another_secret() -> None:
    with pytest.raises(SealingError, match="no longer set"):
        CodeCipher(NEWER).codes.open("v_1", CodeCipher(SECRET).codes.seal("v_1", "0345"))


def test_a_code_sealed_before_a_rotation_opens_while_the_previous_secret_is_set() -> None:
    old, rotated = CodeCipher(SECRET), CodeCipher(NEWER, previous=SECRET)
    assert rotated.codes.open("v_1", old.codes.seal("v_1", "0345")) == "0345"
    assert rotated.codes.open("v_1", rotated.codes.seal("v_1", "6789")) == "6789"
    assert CodeCipher(NEWER).codes.open("v_1", rotated.codes.seal("v_1", "6789")) == "6789"


@given(codes, st.data())
def test_damaged_seal_is_refused(code: str, data: st.DataObject) -> None:
    cipher = CodeCipher(SECRET)
    sealed = bytearray(cipher.codes.seal("v_1", code))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealingError):
        cipher.codes.open("v_1", bytes(sealed))


@given(codes, st.data())
def test_truncated_seal_is_refused(code: str, data: st.DataObject) -> None:
    cipher = CodeCipher(SECRET)
    sealed = cipher.codes.seal("v_1", code)
    with pytest.raises(SealingError):
        cipher.codes.open("v_1", sealed[: data.draw(st.integers(0, len(sealed) - 1))])


def test_digest_matches_only_its_code_and_verification() -> None:
    cipher = CodeCipher(SECRET)
    digest = cipher.digest("v_1", "0345")
    assert cipher.matches(digest, "v_1", "0345")
    assert not cipher.matches(digest, "v_1", "0346")
    assert not cipher.matches(digest, "v_2", "0345")
    assert not CodeCipher(NEWER).matches(digest, "v_1", "0345")
    assert CodeCipher(NEWER, previous=SECRET).matches(digest, "v_1", "0345")


def test_digest_may_match_any_of_several_codes() -> None:
    digest = CodeCipher(SECRET).digest("v_1", "0345")
    for cipher in (CodeCipher(SECRET), CodeCipher(NEWER, previous=SECRET)):
        assert cipher.matches(digest, "v_1", "345", "0345", "00345")
        assert not cipher.matches(digest, "v_1", "345", "00345")
        assert not cipher.matches(digest, "v_1")


def test_moving_digits_into_the_id_changes_the_digest() -> None:
    cipher = CodeCipher(SECRET)
    assert cipher.digest("v_1", "23") != cipher.digest("v_12", "3")


def test_index_of_a_code_is_deterministic_and_keyed() -> None:
    assert CodeCipher(SECRET).index("0345") == CodeCipher(SECRET).index("0345")
    assert CodeCipher(SECRET).index("0345") != CodeCipher(SECRET).index("0346")
    assert CodeCipher(SECRET).index("0345") != CodeCipher(NEWER).index("0345")


def test_keys_of_different_purposes_differ() -> None:
    purposes = ["code digest", "code index", "code encryption"]
    keys = {derive(SECRET, purpose) for purpose in purposes}
    assert len(keys) == len(purposes)
    assert {len(key) for key in keys} == {32}
