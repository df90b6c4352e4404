"""The normal form of a text: what a reader sees, one plain character for each.

Full-width, circled and foreign digits are ASCII digits, dashes and middle dots are of one kind,
what nobody sees (zero-width characters, combining marks, controls) is gone.  Each character of
the normal form knows its place in the original, so that what is found here is masked there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from unicodedata import category, digit, normalize

_UNSEEN = "\0"
_UNSEEN_KINDS = ("Cf", "Cc", "Mn", "Me")
# Letters and symbols by category, yet blank on the screen.
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
_SPACES = "\t\v\f\x1c\x1d\x1e\x1f\x85"
_DOTS = "•‧∙⋅◦●▪・･᛫"
_CHINESE = {
    **dict(zip("零一二三四五六七八九", "0123456789", strict=True)),
    **dict(zip("〡〢〣〤〥〦〧〨〩", "123456789", strict=True)),
    **dict(zip("壹贰叁肆伍陆柒捌玖", "123456789", strict=True)),
    **dict(zip("貳參叄陸弌弍弎", "2336123", strict=True)),
    # Spoken so that one digit is not taken for another, and the hollow circle for zero.
    **dict(zip("〇○◯洞幺吆两兩拐勾", "0000112279", strict=True)),
}


class Normal(NamedTuple):
    """A text in its normal form.

    Parameters
    ----------
    plain
        The normal form, in which Chinese numerals are still characters.
    digits
        The same length; Chinese numerals are ASCII digits too.
    places
        For each character its index in the original.
    """

    plain: str
    digits: str
    places: Sequence[int]


class _Table(dict[int, int]):
    """A table for `str.translate` that is filled as characters come.

    It keeps the basic plane alone, so that no stream of texts can make it grow beyond that.
    """

    def __init__(self, rule: Callable[[str], str]) -> None:
        super().__init__()
        self._rule = rule

    def __missing__(self, code: int) -> int:
        found = ord(self._rule(chr(code)))
        if code < 0x10000:
            self[code] = found
        return found


def _plain(character: str) -> str:
    if character in "\r\n\u2028\u2029":
        return "\n"
    if character in _SPACES:
        return " "
    kind = category(character)
    if kind in _UNSEEN_KINDS or character in _BLANKS:
        return _UNSEEN
    number = digit(character, None)
    if number is not None:
        return str(number)
    # Ten characters of a ligature, or none, would lose the places: those stay as they are.
    folded = normalize("NFKC", character)
    folded = folded if len(folded) == 1 else character
    kind = category(folded)
    if kind == "Pd" or folded == "\u2212":
        return "-"
    if kind == "Zs":
        return " "
    return "·" if folded in _DOTS else folded


def _numeral(character: str) -> str:
    plain = _plain(character)
    return _CHINESE.get(plain, plain)


_PLAIN, _DIGITS = _Table(_plain), _Table(_numeral)


def normal_form(text: str) -> Normal:
    """Read a text as it is seen, in time linear in its length.

    Examples
    --------
    >>> normal_form("１３\u200b8 零—一")
    Normal(plain='138 零-一', digits='138 0-1', places=[0, 1, 3, 4, 5, 6, 7])
    """
    plain, digits = text.translate(_PLAIN), text.translate(_DIGITS)
    if _UNSEEN not in plain:
        return Normal(plain, digits, range(len(plain)))
    places = [place for place, character in enumerate(plain) if character != _UNSEEN]
    return Normal(plain.replace(_UNSEEN, ""), digits.replace(_UNSEEN, ""), places)
