"""A Bind read without its parameters is what decoding the whole of it gives."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import messages as m
from proxy.wire.binding import read_bind, with_formats
from proxy.wire.codec import decode_frontend, encode
from proxy.wire.errors import ProtocolViolation

names = st.binary(max_size=8).filter(lambda name: b"\0" not in name)
formats = st.lists(st.integers(-1, 2), max_size=4).map(tuple)
values = st.lists(st.none() | st.binary(max_size=9), max_size=4).map(tuple)
binds = st.builds(m.Bind, names, names, formats, values, formats)


@given(binds, formats)
def test_it_reads_what_decoding_reads(bind: m.Bind, others: tuple[int, ...]) -> None:
    frame = memoryview(encode(bind))
    head = read_bind(frame)
    assert (head.portal, head.statement, head.result_formats) == (bind.portal, bind.statement, bind.result_formats)
    assert with_formats(frame, head, others) == encode(replace(bind, result_formats=others))


@given(binds, st.data())
def test_it_refuses_what_decoding_refuses(bind: m.Bind, data: st.DataObject) -> None:
    whole = encode(bind)
    at = data.draw(st.integers(5, len(whole) - 1))
    changed = data.draw(st.sampled_from([whole[:at], whole[:at] + b"\xff" + whole[at + 1 :], whole + b"\0"]))
    try:
        expected = decode_frontend(ord("B"), changed[5:])
    except ProtocolViolation:
        with pytest.raises(ProtocolViolation):
            read_bind(memoryview(changed))
        return
    assert isinstance(expected, m.Bind)
    assert read_bind(memoryview(changed)).result_formats == expected.result_formats


def test_a_long_name() -> None:
    bind = m.Bind(b"p" * 100_000, b"s")
    assert read_bind(memoryview(encode(bind))).portal == bind.portal
    with pytest.raises(ProtocolViolation):
        read_bind(memoryview(b"B\0\0\0\0" + b"p" * 100_000))
