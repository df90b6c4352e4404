"""Telephone, identity and card numbers in a normal form, however their digits are written.

A *run* is a stretch of digits with at most four marks between two of them.  A number begins and
ends at an *edge* of its run: where something stands between two digits, or where a Chinese
numeral touches another digit (in 零零一直 the last is no digit).  Each start is looked at once
and each look is of at most nineteen digits, so the time is linear in the text, whatever it holds.
Numbers may overlap here: who masks takes them together, so that a wrong start hides no right one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from agents.hotline import cues
from agents.hotline.identifiers import (
    area_length,
    is_card,
    is_day,
    is_identity,
    is_local,
    is_mobile,
    is_old_identity,
)
from agents.hotline.normal_form import Normal
from agents.hotline.shapes import (
    Shape,
    is_card_shape,
    is_landline_shape,
    is_list,
    is_local_shape,
    is_mobile_shape,
)

# Possessive: what was taken is never given back, so nothing is tried twice.
_RUN = re.compile(r"[0-9](?:[\W_]{0,4}+[0-9]){6,}+")
_LAST_X = re.compile(r"[\W_]{0,3}+[XxХх×]")
_EXTENSION = re.compile(r" ?+(?:转分机|分机|转|-) ?+[0-9]{2,5}+(?![0-9])")
_ROOM = re.compile(r"[0-9]{1,4}+[室房栋幢座楼层单]")
_NUMERAL_DASH = re.compile(r"(?<=[0-9])[一ー](?=[0-9])")
_ABROAD = (("852", 11), ("853", 11), ("886", 12))
"""Calling codes of Hong Kong, Macao and Taiwan, and how many digits their numbers have."""


class Number(NamedTuple):
    """A number that was found: its kind, and where it begins and ends in the normal form."""

    kind: str
    start: int
    end: int


def numbers(normal: Normal) -> Iterator[Number]:
    """All numbers of a normal form.

    Examples
    --------
    >>> from agents.hotline.normal_form import normal_form
    >>> list(numbers(normal_form("回电一六一-0000 0000，谢谢")))
    [Number(kind='phone', start=2, end=15)]
    """
    yield from _numbers(normal.digits, normal.plain)
    # The numeral one is also typed as a dash: 020一81234567.
    dashed = _NUMERAL_DASH.sub("-", normal.plain)
    if dashed != normal.plain:
        yield from _numbers(dashed, dashed)


def _numbers(text: str, plain: str) -> Iterator[Number]:
    for match in _RUN.finditer(text):
        yield from _Run(text, plain, match).find()


def _only(*found: Number | None) -> Iterator[Number]:
    return (number for number in found if number is not None)


class _Run:
    """The digits of one run; digit i stands at ``at[i]`` of the text."""

    __slots__ = ("_at", "_digits", "_edges", "_reach", "_said", "_text")

    def __init__(self, text: str, plain: str, match: re.Match[str]) -> None:
        begin, end = match.span()
        at = [i for i in range(begin, end) if "0" <= text[i] <= "9"]
        self._text, self._at = text, at
        self._digits = "".join([text[i] for i in at])
        self._edges = [True] * (len(at) + 1)
        for k in range(1, len(at)):
            here, before = at[k], at[k - 1]
            self._edges[k] = (
                here - before > 1 or not plain[here].isascii() or not plain[before].isascii()
            )
        self._reach = 0
        """The end of what was found so far: there begins what nothing covers."""
        self._said = 0
        """The end of the last landline number."""

    def find(self) -> Iterator[Number]:
        digits = self._digits
        for start in range(len(digits) - 6):
            lead = self._lead(start)
            if lead is None:
                continue
            if digits[start] == "1":
                yield from _only(self._mobile(start, lead))
            if lead < start:
                yield from _only(self._landline_from_abroad(start, lead))
            if not self._is_open(start):
                continue
            if digits[start] == "0":
                yield from _only(self._landline(start))
            else:
                yield from _only(self._local(start), self._identity(start), self._card(start))

    def _is_open(self, k: int) -> bool:
        return k >= 0 and (self._edges[k] or k == self._reach)

    def _lead(self, start: int) -> int | None:
        """Where the prefix 86, 0086 or 0 of a start begins; None where nothing can start."""
        digits = self._digits
        if digits[max(0, start - 2) : start] == "86":
            if digits[max(0, start - 4) : start - 2] == "00" and self._is_open(start - 4):
                return start - 4
            if self._is_open(start - 2):
                return start - 2
        if self._is_open(start):
            return start
        is_trunk = digits[start - 1] == "0" and self._is_open(start - 1)
        return start - 1 if is_trunk else None

    def _is_fraction(self, lead: int, start: int) -> bool:
        """Whether the zeros of a prefix stand behind a decimal point: 23.039…

        A number that was masked is one still, so that a masked text is masked no further.
        """
        place = self._at[lead]
        behind = self._text[max(0, place - 2) : place]
        return lead < start and behind[1:] == "." and behind[0] in "0123456789]"

    def _shape(self, start: int, end: int) -> Shape:
        text, at = self._text, self._at
        sizes, gaps, size = [], [], 1
        for k in range(start + 1, end):
            if at[k] - at[k - 1] > 1:
                gaps.append(text[at[k - 1] + 1 : at[k]])
                sizes.append(size)
                size = 0
            size += 1
        return Shape((*sizes, size), tuple(gaps))

    def _number(self, kind: str, start: int, end: int, until: int = 0) -> Number:
        """Note digits start to end; they reach on to ``until`` where that is further."""
        self._reach = max(self._reach, end)
        text, place = self._text, self._at[start]
        until = max(self._at[end - 1] + 1, until)
        if kind == "phone" and text[place - 1 : place] == "+":
            place -= 1
        # A parenthesis that closes inside opened before: (020) 8123 4567.
        if text[place - 1 : place] == "(" and ")" in text[place:until]:
            place -= 1
        return Number(kind, place, until)

    def _says(self, cue: cues.Cue, start: int) -> bool:
        return cues.says(cue, self._text, self._at[start])

    def _mobile(self, start: int, lead: int) -> Number | None:
        end = start + 11
        if not is_mobile(self._digits[start:end]) or self._is_fraction(lead, start):
            return None
        text, first, after = self._text, self._at[start], self._at[end - 1] + 1
        # Digits may follow at once behind a cue or before a room: 电话16100000000302室.
        is_cut = self._edges[end] or _ROOM.match(text, after) or self._says(cues.PHONE, lead)
        if not is_cut:
            return None
        # Meters and households have numbers that begin with 0.
        if lead == start - 1 and self._says(cues.SERIAL, lead):
            return None
        is_listed_on = is_list(text[max(0, first - 3) : first], text[after : after + 2])
        if not is_mobile_shape(self._shape(start, end), is_listed_on=is_listed_on):
            return None
        return self._number("phone", lead, end)

    def _landline(self, start: int) -> Number | None:
        if self._is_fraction(start, start + 1):
            return None
        for end in (start + 12, start + 11):
            if not self._ends(end):
                continue
            area = area_length(self._digits[start:end])
            shape = self._shape(start, end)
            if not (area and is_landline_shape(shape, area)):
                continue
            # Apart from its area any local part counts, also one that cannot be.
            is_apart = shape.sizes == (area, end - start - area) and not shape.is_listed
            if not is_apart and not is_local(self._digits[start + area : end]):
                continue
            if len(shape.sizes) < 3 and self._says(cues.SERIAL, start):
                continue
            return self._with_extension(start, end)
        return None

    def _landline_from_abroad(self, start: int, lead: int) -> Number | None:
        """+86 20 8123 4567 has lost the 0 of its area code, +86 (0)20 8123 4567 has not."""
        at, digits = self._at, self._digits
        is_called = self._text[at[lead] - 1 : at[lead]] == "+" or at[start] - at[start - 1] > 1
        if digits[start - 2 : start] != "86" or not is_called:
            return None
        trunk = "" if digits[start] == "0" else "0"
        for size in (12, 11):
            end = start + size - len(trunk)
            if not self._ends(end):
                continue
            number = trunk + digits[start:end]
            area = area_length(number)
            if not area or not is_local(number[area:]):
                continue
            if is_landline_shape(self._shape(start, end), area - len(trunk)):
                return self._with_extension(lead, end)
        return None

    def _with_extension(self, start: int, end: int) -> Number:
        self._said = end
        extension = _EXTENSION.match(self._text, self._at[end - 1] + 1)
        return self._number("phone", start, end, extension.end() if extension else 0)

    def _local(self, start: int) -> Number | None:
        """A number without area code, after a cue alone; one of a neighbour abroad, after a +."""
        if self._text[max(0, self._at[start] - 1)] == "+":
            for code, size in _ABROAD:
                end = start + size
                if self._digits.startswith(code, start) and self._ends(end):
                    return self._number("phone", start, end)
        for size in (8, 7):
            end = start + size
            number = self._digits[start:end]
            if not self._ends(end) or not is_local(number) or is_day(number):
                continue
            shape = self._shape(start, end)
            # One cue serves a list: 电话80000000、80000001.
            is_said = self._says(cues.LANDLINE, start) or 0 < self._said == start
            if is_said and (is_local_shape(shape) or max(shape.sizes) == 1):
                return self._with_extension(start, end)
        return None

    def _ends(self, end: int) -> bool:
        return end <= len(self._digits) and self._edges[end]

    def _identity(self, start: int) -> Number | None:
        digits, end = self._digits, start + 18
        if len(digits) < start + 15:
            return None
        is_whole = len(digits) >= end and is_identity(digits[start:end])
        if is_whole and (self._edges[end] or self._says_identity(start)):
            return self._number("identity", start, end)
        if end - 1 <= len(digits):
            x = _LAST_X.match(self._text, self._at[end - 2] + 1)
            if x and (is_identity(digits[start : end - 1] + "X") or self._says_identity(start)):
                return self._number("identity", start, end - 1, x.end())
        # With a digit mistaken or left out it still is somebody's, if the text says so.
        ends = [start + size for size in (18, 17, 16, 15) if self._ends(start + size)]
        if ends and self._says_identity(start):
            return self._number("identity", start, ends[0])
        end = start + 15
        if not (self._ends(end) and is_old_identity(digits[start:end])):
            return None
        is_plain = self._shape(start, end).is_plain and not self._says(cues.SERIAL, start)
        return self._number("identity", start, end) if is_plain else None

    def _says_identity(self, start: int) -> bool:
        return self._says(cues.IDENTITY, start)

    def _card(self, start: int) -> Number | None:
        ends = [start + size for size in (19, 18, 17, 16) if self._ends(start + size)]
        if not ends:
            return None
        is_said = self._says(cues.CARD, start)
        is_union_pay = self._digits.startswith("62", start)
        for end in ends:
            if not is_said and not is_card(self._digits[start:end]):
                continue
            if not is_card_shape(self._shape(start, end), is_union_pay=is_union_pay):
                continue
            if is_said or not self._says(cues.SERIAL, start):
                return self._number("card", start, end)
        return None
