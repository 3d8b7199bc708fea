"""Invented names, cities, companies and addresses, each chosen by one large number. Lists of our own; no person in
particular is meant. Everything is ASCII.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIRST = _words(
    """
    Alma Anders Amina Arlo Beatriz Bela Bruno Carla Cedric Chiara Dario Delia Edda Elias Emeka Esther Farah
    Felix Greta Gustav Hana Henrik Ida Imran Ines Ivo Jana Jonas Juno Kaito Karim Klara Lars Leila Lionel Luisa
    Magda Malik Mara Mateo Mina Nadia Niels Noor Olga Omar Oskar Paula Pavel Quinn Rafael Ravi Rosa Ruben Salma
    Selma Simon Sofia Tariq Tilda Uma Viktor Wanda Yusuf
    """
)
_LAST = _words(
    """
    Abel Adeyemi Almeida Aydin Bakker Baumann Becker Bergmann Borg Brandt Castell Cerny Costa Dahl Danko Diallo
    Dubois Eklund Engel Farkas Ferreira Fischer Galli Garnier Gruber Haas Halvorsen Hofmann Horvat Ilic Jansen
    Jensen Kaplan Keller Kovacs Kowal Lang Laurent Lindgren Lopez Maier Marek Marino Moreau Nakamura Novak Nowak
    Okafor Olsen Peters Petrov Quist Rahman Ricci Romero Sato Schmid Silva Sorensen Tanaka Urban Varga Weber
    Zeman
    """
)
_CITIES = _words(
    """
    Aldermoor Ashbourne Brackwell Briarton Calder Carrowby Cliffhaven Dunmere Eastholm Elmstead Fairhaven
    Fenwick Glenmor Grayford Harrowgate Hazelby Inverdale Kestrel Kingsmoor Larkfield Lindenau Marlow Meadowick
    Northam Oakhurst Otterby Pinewood Quarry Ravensholm Redcliff Rosedale Saltmarsh Seaborne Silverton
    Stonebridge Thornby Underhill Valemont Westbrook Whitford Wolverley Yarrow
    """
)
_STREETS = _words(
    """
    Acorn Birch Canal Castle Church Garden Harbour High Hill Lake Mill Orchard Park River School Station
    """
)
_WAYS = _words(
    """
    Avenue Close Lane Road Row Street Square Way
    """
)
_COMPANIES = _words(
    """
    Amber Atlas Beacon Cedar Cobalt Comet Copper Delta Ember Falcon Granite Harbor Indigo Juniper Lantern Maple
    Meridian Nimbus Northern Orbit Osprey Pioneer Quartz Summit Tidal Umbra Vector Willow
    """
)
_FORMS = _words(
    """
    Analytics Foods Group Holdings Labs Logistics Partners Systems Textiles Works
    """
)


class _Dice:
    """Reads choices off one number, one after the other."""

    def __init__(self, number: int) -> None:
        self._number = number

    def below(self, count: int) -> int:
        self._number, choice = divmod(self._number, count)
        return choice

    def of(self, words: Sequence[str]) -> str:
        return words[self.below(len(words))]


def _first_name(dice: _Dice) -> str:
    return dice.of(_FIRST)


def _last_name(dice: _Dice) -> str:
    return dice.of(_LAST)


def _name(dice: _Dice) -> str:
    return f"{dice.of(_FIRST)} {dice.of(_LAST)}"


def _email(dice: _Dice) -> str:
    return f"{dice.of(_FIRST)}.{dice.of(_LAST)}{dice.below(9000) + 1000}@example.com".lower()


def _phone(dice: _Dice) -> str:
    """Of the numbers that are kept for fiction."""
    return f"+1 {dice.below(800) + 200}-555-01{dice.below(100):02d}"


def _city(dice: _Dice) -> str:
    return dice.of(_CITIES)


def _street(dice: _Dice) -> str:
    return f"{dice.below(199) + 1} {dice.of(_STREETS)} {dice.of(_WAYS)}"


def _company(dice: _Dice) -> str:
    return f"{dice.of(_COMPANIES)} {dice.of(_FORMS)}"


_KINDS: Mapping[str, Callable[[_Dice], str]] = MappingProxyType(
    {
        "first_name": _first_name,
        "last_name": _last_name,
        "name": _name,
        "email": _email,
        "phone": _phone,
        "city": _city,
        "street": _street,
        "company": _company,
    }
)


def _maker(make: Callable[[_Dice], str]) -> Callable[[int], str]:
    return lambda number: make(_Dice(number))


MAKERS: Mapping[str, Callable[[int], str]] = MappingProxyType({of: _maker(make) for of, make in _KINDS.items()})

# The most characters that each kind has.
LONGEST: Mapping[str, int] = MappingProxyType(
    {
        "first_name": max(map(len, _FIRST)),
        "last_name": max(map(len, _LAST)),
        "name": max(map(len, _FIRST)) + max(map(len, _LAST)) + 1,
        "email": max(map(len, _FIRST)) + max(map(len, _LAST)) + 17,
        "phone": 15,
        "city": max(map(len, _CITIES)),
        "street": max(map(len, _STREETS)) + max(map(len, _WAYS)) + 5,
        "company": max(map(len, _COMPANIES)) + max(map(len, _FORMS)) + 1,
    }
)
