"""FF1 against NIST's published examples (SP 800-38G, samples 1 to 9), and its rules about short strings."""

from __future__ import annotations

import pytest

from policies.masks.ff1 import FF1

KEY = "2B7E151628AED2A6ABF7158809CF4F3C"
KEY_192 = KEY + "EF4359D8D580AA4F"
KEY_256 = KEY_192 + "7F036D6F04FC6A94"
NUMBER, LETTERS = "0123456789", "0123456789abcdefghi"
TWEAK, LONG_TWEAK = "39383736353433323130", "3737373770717273373737"


def numerals(text: str) -> list[int]:
    return [int(character, 36) for character in text]


@pytest.mark.parametrize(
    ("key", "radix", "tweak", "plain", "encrypted"),
    [
        (KEY, 10, "", NUMBER, "2433477484"),
        (KEY, 10, TWEAK, NUMBER, "6124200773"),
        (KEY, 36, LONG_TWEAK, LETTERS, "a9tv40mll9kdu509eum"),
        (KEY_192, 10, "", NUMBER, "2830668132"),
        (KEY_192, 10, TWEAK, NUMBER, "2496655549"),
        (KEY_192, 36, LONG_TWEAK, LETTERS, "xbj3kv35jrawxv32ysr"),
        (KEY_256, 10, "", NUMBER, "6657667009"),
        (KEY_256, 10, TWEAK, NUMBER, "1001623463"),
        (KEY_256, 36, LONG_TWEAK, LETTERS, "xs8a0azh2avyalyzuwd"),
    ],
)
def test_nist_samples(key: str, radix: int, tweak: str, plain: str, encrypted: str) -> None:
    cipher = FF1(bytes.fromhex(key), radix, bytes.fromhex(tweak))
    assert cipher.encrypt(numerals(plain)) == numerals(encrypted)
    assert cipher.decrypt(numerals(encrypted)) == numerals(plain)


@pytest.mark.parametrize("length", [6, 7, 19, 56, 57, 200, 256])
@pytest.mark.parametrize("radix", [2, 10, 62])
def test_every_length_comes_back(radix: int, length: int) -> None:
    cipher = FF1(bytes(32), radix, b"tweak")
    plain = [(7 * index + length) % radix for index in range(length)]
    encrypted = cipher.encrypt(plain)
    assert encrypted != plain
    assert all(0 <= numeral < radix for numeral in encrypted)
    assert cipher.decrypt(encrypted) == plain


def test_a_domain_is_big_enough_from_a_million_on() -> None:
    assert [FF1(bytes(16), 10).is_long_enough(length) for length in (0, 1, 5, 6)] == [False, False, False, True]
    assert [FF1(bytes(16), 62).is_long_enough(length) for length in (3, 4)] == [False, True]
    assert not FF1(bytes(16), 65_536 * 16).is_long_enough(1)
