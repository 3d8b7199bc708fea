import pytest

from audit.webhook import Hook, is_signature_true, parse_hook, signature

SECRET, BODY = b"s3cret", b'{"version":1,"alarms":[]}'


def test_a_signature_is_of_the_time_and_the_body() -> None:
    given = signature(SECRET, 1_750_000_000, BODY)
    # python3 -c 'import hmac; print(hmac.new(b"s3cret", b"1750000000." + BODY, "sha256").hexdigest())'
    assert given.startswith("v1=")
    assert len(given) == 67
    assert is_signature_true(SECRET, 1_750_000_000, BODY, given, 1_750_000_100)
    assert not is_signature_true(SECRET, 1_750_000_000, BODY, given, 1_750_000_400), "an old one, sent again"
    assert not is_signature_true(SECRET, 1_750_000_001, BODY, given, 1_750_000_100)
    assert not is_signature_true(SECRET, 1_750_000_000, BODY + b" ", given, 1_750_000_100)
    assert not is_signature_true(b"other", 1_750_000_000, BODY, given, 1_750_000_100)
    assert not is_signature_true(SECRET, 1_750_000_000, BODY, "v1=ä", 1_750_000_100)


@pytest.mark.parametrize(
    ("url", "hook"),
    [
        ("https://hooks.example/T0/secret?x=1", Hook(True, "hooks.example", 443, "/T0/secret?x=1")),
        ("https://hooks.example:8443", Hook(True, "hooks.example", 8443, "/")),
        ("http://127.0.0.1:9000/a", Hook(False, "127.0.0.1", 9000, "/a")),
    ],
)
def test_hooks(url: str, hook: Hook) -> None:
    assert parse_hook(url) == hook
    assert "T0" not in str(hook)


@pytest.mark.parametrize(
    "url",
    ["", "hooks.example", "http://hooks.example/", "ftp://x/", "https://u:p@x/", "https:///x", "https://x:y/",
     "https://x/a b", "https://x/\r\nX: y", "https://x/#f", "https://x/ä"],
)  # fmt: skip
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected https"):
        parse_hook(url)
