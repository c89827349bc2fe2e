"""X3DH and the Double Ratchet between two devices, in both roles."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waemu.signal import Bundle, Device, SignalError


def _pair() -> tuple[Device, Device]:
    """Return two devices with a session started by the first."""
    initiator, responder = Device(), Device()
    initiator.start_session("responder", responder.bundle())
    return initiator, responder


def _say(sender: Device, to: str, receiver: Device, from_: str, text: bytes) -> str:
    kind, ciphertext = sender.encrypt(to, text)
    assert receiver.decrypt(from_, kind, ciphertext) == text
    return kind


def test_the_first_messages_open_the_session_until_the_other_side_answers() -> None:
    initiator, responder = _pair()
    assert _say(initiator, "responder", responder, "initiator", b"one") == "pkmsg"
    assert _say(initiator, "responder", responder, "initiator", b"two") == "pkmsg"
    assert _say(responder, "initiator", initiator, "responder", b"three") == "msg"
    assert _say(initiator, "responder", responder, "initiator", b"four") == "msg"


@given(st.lists(st.booleans(), max_size=30))
@settings(max_examples=20)
def test_conversation_in_any_order_of_turns_is_decrypted(turns: list[bool]) -> None:
    initiator, responder = _pair()
    _say(initiator, "responder", responder, "initiator", b"hello")
    for number, initiator_speaks in enumerate(turns):
        text = b"message %d" % number
        if initiator_speaks:
            _say(initiator, "responder", responder, "initiator", text)
        else:
            _say(responder, "initiator", initiator, "responder", text)


@given(st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_messages_in_any_order_are_decrypted(order: random.Random) -> None:
    initiator, responder = _pair()
    _say(initiator, "responder", responder, "initiator", b"hello")
    _say(responder, "initiator", initiator, "responder", b"hello")
    texts = [b"message %d" % number for number in range(10)]
    sent = [(text, *initiator.encrypt("responder", text)) for text in texts]
    _say(responder, "initiator", initiator, "responder", b"meanwhile")
    sent += [(text, *initiator.encrypt("responder", text)) for text in texts]
    order.shuffle(sent)
    for text, kind, ciphertext in sent:
        assert responder.decrypt("initiator", kind, ciphertext) == text


def test_first_messages_in_the_wrong_order_are_decrypted() -> None:
    initiator, responder = _pair()
    first = initiator.encrypt("responder", b"first")
    second = initiator.encrypt("responder", b"second")
    assert responder.decrypt("initiator", *second) == b"second"
    assert responder.decrypt("initiator", *first) == b"first"


def test_repeated_message_is_decrypted_once() -> None:
    initiator, responder = _pair()
    message = initiator.encrypt("responder", b"once")
    responder.decrypt("initiator", *message)
    with pytest.raises(SignalError):
        responder.decrypt("initiator", *message)
    assert _say(initiator, "responder", responder, "initiator", b"go on") == "pkmsg"


def test_tampered_message_is_refused_and_leaves_the_session_usable() -> None:
    initiator, responder = _pair()
    _say(initiator, "responder", responder, "initiator", b"hello")
    _say(responder, "initiator", initiator, "responder", b"hello")
    kind, ciphertext = initiator.encrypt("responder", b"true")
    for position in range(len(ciphertext)):
        spoilt = bytearray(ciphertext)
        spoilt[position] ^= 1
        with pytest.raises(SignalError):
            responder.decrypt("initiator", kind, bytes(spoilt))
    assert responder.decrypt("initiator", kind, ciphertext) == b"true"


def test_simultaneously_opened_sessions_both_work() -> None:
    one, other = Device(), Device()
    one.start_session("other", other.bundle())
    other.start_session("one", one.bundle())
    from_one = one.encrypt("other", b"from one")
    from_other = other.encrypt("one", b"from other")
    assert other.decrypt("one", *from_one) == b"from one"
    assert one.decrypt("other", *from_other) == b"from other"
    for number in range(3):
        _say(one, "other", other, "one", b"one %d" % number)
        _say(other, "one", one, "other", b"other %d" % number)


def test_new_bundle_restores_contact_after_lost_sessions() -> None:
    initiator, responder = _pair()
    _say(initiator, "responder", responder, "initiator", b"hello")
    _say(responder, "initiator", initiator, "responder", b"hello")
    responder.forget_sessions()
    with pytest.raises(SignalError, match="no session with initiator"):
        responder.decrypt("initiator", *initiator.encrypt("responder", b"lost"))
    initiator.start_session("responder", responder.bundle())
    assert _say(initiator, "responder", responder, "initiator", b"again") == "pkmsg"


def test_a_session_without_a_one_time_prekey_works() -> None:
    initiator, responder = Device(), Device()
    full = responder.bundle()
    bare = Bundle(full.identity, full.registration_id, full.signed_prekey, full.signature, None)
    initiator.start_session("responder", bare)
    _say(initiator, "responder", responder, "initiator", b"hello")
    _say(responder, "initiator", initiator, "responder", b"hello")


def test_a_one_time_prekey_opens_one_session_only() -> None:
    responder = Device()
    bundle = responder.bundle()
    first, second = Device(), Device()
    first.start_session("responder", bundle)
    second.start_session("responder", bundle)
    _say(first, "responder", responder, "first", b"hello")
    with pytest.raises(SignalError, match="unknown or used"):
        responder.decrypt("second", *second.encrypt("responder", b"hello"))


def test_a_bundle_signed_by_another_is_not_trusted() -> None:
    true, false = Device().bundle(), Device().bundle()
    forged = Bundle(true.identity, true.registration_id, false.signed_prekey, false.signature, None)
    with pytest.raises(SignalError, match="wrong signature"):
        Device().start_session("responder", forged)


def test_a_gap_of_too_many_messages_is_refused() -> None:
    initiator, responder = _pair()
    _say(initiator, "responder", responder, "initiator", b"hello")
    for _ in range(2002):
        kind, ciphertext = initiator.encrypt("responder", b"lost")
    with pytest.raises(SignalError, match="was expected"):
        responder.decrypt("initiator", kind, ciphertext)


@pytest.mark.parametrize("kind", ["pkmsg", "msg", "skmsg"])
@pytest.mark.parametrize("data", [b"", b"\x33", b"\x32" + bytes(50), b"\x33" + b"\xff" * 50])
def test_invalid_bytes_are_refused(kind: str, data: bytes) -> None:
    initiator, responder = _pair()
    _say(initiator, "responder", responder, "initiator", b"hello")
    with pytest.raises(SignalError):
        responder.decrypt("initiator", kind, data)
