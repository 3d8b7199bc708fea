"""The reports that go to clients, and the texts that stand in for the server's."""

from proxy.wire import messages as m
from proxy.wire.codec import decode_backend
from proxy.wire.errors import (
    AuthenticationFailed,
    LocalProtocolError,
    ProtocolViolation,
    WireError,
    error_response,
    notice_response,
    sqlstate_meaning,
)


def test_error_response_has_the_fields_in_order() -> None:
    frame = error_response("ERROR", "42501", "no", "why", "do", 7)
    message = decode_backend(frame[0], frame[5:])
    fields = {"S": b"ERROR", "V": b"ERROR", "C": b"42501", "M": b"no", "D": b"why", "H": b"do", "P": b"7"}
    assert message == m.ErrorResponse(fields)
    assert isinstance(message, m.ErrorResponse)
    assert list(message.fields) == list("SVCMDHP")
    assert int.from_bytes(frame[1:5], "big") == len(frame) - 1


def test_empty_fields_are_left_out() -> None:
    frame = notice_response("WARNING", "01000", "careful")
    fields = {"S": b"WARNING", "V": b"WARNING", "C": b"01000", "M": b"careful"}
    assert decode_backend(frame[0], frame[5:]) == m.NoticeResponse(fields)


def test_a_nul_in_a_text_makes_no_further_field() -> None:
    frame = error_response("ERROR", "42501", "no\0Dinjected")
    message = decode_backend(frame[0], frame[5:])
    assert isinstance(message, m.ErrorResponse)
    assert message.fields["M"] == b"noDinjected"
    assert "D" not in message.fields


def test_a_lone_surrogate_is_replaced() -> None:
    frame = error_response("ERROR", "42501", "\ud800")
    assert decode_backend(frame[0], frame[5:]).fields["M"] == b"?"  # type: ignore[union-attr]


def test_errors_tell_whose_fault_it_is() -> None:
    assert ProtocolViolation("x").sqlstate == "08P01"
    assert ProtocolViolation("x", "0A000").sqlstate == "0A000"
    assert AuthenticationFailed("x").sqlstate == "28P01"
    assert LocalProtocolError("x").sqlstate == "XX000"
    assert not issubclass(LocalProtocolError, ProtocolViolation)
    assert issubclass(AuthenticationFailed, ProtocolViolation)
    assert issubclass(LocalProtocolError, WireError)


def test_meanings() -> None:
    assert sqlstate_meaning("22012") == "division by zero"
    assert sqlstate_meaning("22ZZZ") == sqlstate_meaning("22000") == "data exception"
    assert sqlstate_meaning("ZZ123") == sqlstate_meaning("") == "database error"
