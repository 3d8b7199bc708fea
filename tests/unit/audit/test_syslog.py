import re

import pytest

from audit.syslog import Place, Sender, framed, parse_place, sequence_id

SENDER = Sender("local3", "db host\n1", 42, "1.2.0")
# RFC 5424, 6: the parts before a message's text.
HEAD = re.compile(
    rb"<(?P<pri>\d{1,3})>1 (?P<at>\S+) (?P<host>[\x21-\x7e]{1,255}) (?P<app>[\x21-\x7e]{1,48})"
    rb" (?P<pid>[\x21-\x7e]{1,128})"
    rb' (?P<name>[\x21-\x7e]{1,32}) (?P<data>(\[[^ \]]+( [^ =]+="[^"\]]*")*\])+|-) (?P<body>.*)'
)


def test_a_message_is_laid_out_as_the_standard_says() -> None:
    message = SENDER.message(4, "2025-06-15T15:06:40.000001Z", "statement", 7, b'{"a":1}')
    found = HEAD.fullmatch(message)
    assert found is not None, message
    assert int(found["pri"]) == 19 * 8 + 4
    assert found["host"] == b"db_host_1"
    assert (found["app"], found["pid"], found["name"]) == (b"pgwarden", b"42", b"statement")
    assert b'sequenceId="7"' in found["data"]
    assert b'software="pgwarden"' in found["data"]
    assert found["body"] == b'{"a":1}'
    assert framed(message) == b"%d %s" % (len(message), message)


@pytest.mark.parametrize("name", ["", "x" * 100, "ä b"])
def test_names_of_any_kind_stay_names(name: str) -> None:
    assert HEAD.fullmatch(SENDER.message(0, "2025-06-15T15:06:40.000001Z", name, 1, b"{}"))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("udp://logs.internal", Place("udp", "logs.internal", 514)),
        ("tcp://10.0.0.1:1514", Place("tcp", "10.0.0.1", 1514)),
        ("tls://logs", Place("tls", "logs", 6514)),
        ("udp://[::1]:99", Place("udp", "::1", 99)),
        ("unix:/dev/log", Place("unix", path="/dev/log")),
        ("unix:///dev/log", Place("unix", path="/dev/log")),
    ],
)
def test_places(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize(
    "text", ["", "logs:514", "http://logs", "udp://", "udp://h:0", "udp://h:99999", "udp://h/x", "tcp://u@h", "unix:x"]
)
def test_other_places_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected udp"):
        parse_place(text)


def test_messages_are_counted_from_1_again_in_time() -> None:
    assert [sequence_id(number) for number in (1, 2**31 - 1, 2**31)] == [1, 2**31 - 1, 1]
