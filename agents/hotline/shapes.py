"""How the digits of one number may be grouped, and which groups are a list of numbers instead."""

from __future__ import annotations

from typing import NamedTuple

_LISTING = frozenset(",，、;；。:：/|\n")
_UNITS = frozenset("元块米吨户人度平方万千亿栋楼层室年月日时分秒个次辆条间亩斤")
"""What is counted: after 150、2000、3000 it tells a list from a telephone number."""

_NUMBERS = frozenset("0123456789[")

_MOBILE = frozenset(
    {
        *((3, 4, 4), (3, 8), (7, 4), (4, 7), (5, 6), (6, 5), (1, 10), (2, 9)),
        *((4, 3, 4), (4, 4, 3), (3, 5, 3), (3, 3, 5), (3, 6, 2), (3, 2, 6), (1, 3, 7), (2, 4, 5)),
        *((1, 3, 3, 4), (1, 3, 4, 3), (3, 4, 2, 2), (3, 2, 2, 4)),
    }
)
"""Not (3, 3, 3, 2) and the like: marks of a class stand so, and addresses on the Internet."""

_LOCAL = frozenset(
    {(8,), (7,), (4, 4), (3, 4), (4, 3), (3, 5), (5, 3), (4, 2, 2), (2, 2, 4), (2, 2, 2, 2)}
)
_CARD_STARTS = ((4, 4, 4), (6, 4), (4, 6), (8, 8), (4, 8), (8, 4))


class Shape(NamedTuple):
    """Sizes of the groups of a number, and what stands between them."""

    sizes: tuple[int, ...]
    gaps: tuple[str, ...]

    @property
    def is_plain(self) -> bool:
        """One group, or every digit apart: nobody writes a list of eleven digits so."""
        return len(self.sizes) == 1 or max(self.sizes) == 1

    @property
    def is_listed(self) -> bool:
        return any(not _LISTING.isdisjoint(gap) for gap in self.gaps)

    @property
    def is_uniform(self) -> bool:
        """Whether blanks alone or dashes alone stand between the groups."""
        marks = {gap.strip() for gap in self.gaps}
        return marks in ({""}, {"-"})

    @property
    def is_dotted(self) -> bool:
        return {gap.strip() for gap in self.gaps} == {"."}


def is_list(before: str, after: str) -> bool:
    """Whether three characters before and two after a number show a list: a unit, or 、 and more.

    A number that was masked is a number still, so that a masked text is masked no further.  One
    digit before 、 counts paragraphs.

    >>> is_list("", "元，"), is_list("00、", ""), is_list("", "、["), is_list("1、", "，3")
    (True, True, True, False)
    """
    if after[:1] in _UNITS:
        return True
    is_after_number = before[-1:] == "、" and (before[-2:-1] == "]" or before[:2].isdigit())
    return is_after_number or (after[:1] == "、" and after[1:] in _NUMBERS)


def is_mobile_shape(shape: Shape, *, is_listed_on: bool) -> bool:
    """Whether eleven digits are grouped as a mobile number.

    Parameters
    ----------
    is_listed_on
        Whether what stands around them speaks for a list of numbers: `is_list`.

    Examples
    --------
    >>> is_mobile_shape(Shape((3, 4, 4), ("，", "，")), is_listed_on=False)
    True
    >>> is_mobile_shape(Shape((3, 4, 4), ("、", "、")), is_listed_on=True)
    False
    >>> internet = Shape((3, 3, 2, 3), (".", ".", "."))
    >>> is_mobile_shape(internet, is_listed_on=False)
    False
    """
    if shape.is_plain:
        return True
    if shape.sizes == (3, 4, 4):
        return not (is_listed_on and shape.is_listed)
    if shape.sizes == (3, 2, 2, 2, 2):
        return shape.gaps == ("-",) * 4
    if shape.is_listed or (shape.is_dotted and len(shape.sizes) == 2):
        return False  # 13 and 11 digits of a list, or degrees with a fraction
    return shape.sizes in _MOBILE


def is_landline_shape(shape: Shape, area: int) -> bool:
    """Whether the digits are grouped as an area code of that many digits and a local number.

    Examples
    --------
    >>> is_landline_shape(Shape((3, 4, 4), ("-", " ")), area=3)
    True
    >>> is_landline_shape(Shape((2, 2, 2, 5), (":", "-", ":")), area=3)
    False
    """
    if shape.is_plain:
        return True
    if shape.sizes[:2] == (1, area - 1):
        shape = Shape(shape.sizes[1:], shape.gaps[1:])  # (0)20 8123 4567
        area -= 1
    if shape.sizes[0] != area:
        # The area code is open towards the number: 0208123 4567 or 02081234567.
        return len(shape.sizes) == 2 and shape.sizes[1] == 4 and not shape.is_listed
    return is_local_shape(Shape(shape.sizes[1:], shape.gaps[1:])) or max(shape.sizes[1:]) == 1


def is_local_shape(shape: Shape) -> bool:
    """Whether seven or eight digits are grouped as a number without its area code."""
    return shape.sizes in _LOCAL and not shape.is_listed


def is_card_shape(shape: Shape, *, is_union_pay: bool) -> bool:
    """Whether 16 to 19 digits are grouped as those of a card: by four, by six and the rest.

    One list of four amounts in ten passes Luhn's check; what stands between commas is a card of
    the range that every bank issues, or none.

    Examples
    --------
    >>> is_card_shape(Shape((4, 4, 4, 4, 3), (" ", " ", " ", " ")), is_union_pay=True)
    True
    >>> is_card_shape(Shape((4, 4, 4, 4), ("、", "、", "、")), is_union_pay=False)
    False
    """
    if shape.is_plain:
        return True
    is_by_four = len(shape.sizes) > 3 and set(shape.sizes[:-1]) == {4}
    if shape.is_listed:
        return is_by_four and is_union_pay
    is_in_parts = shape.is_uniform and min(shape.sizes[:-1]) >= 4
    return is_by_four or is_in_parts or shape.sizes[:2] in _CARD_STARTS
