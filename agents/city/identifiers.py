"""Identifiers that citizens write into their texts; none of them can belong to a person.

Mobile numbers begin with 154 0000: the segment 154 was never given to an operator. Identity
numbers have a valid check digit (GB 11643-1999) but the area 990000, which is no place. E-mail
stands at example.com (RFC 2606). Number plates are of Ningxia's letter Z, which has no city.
"""

from __future__ import annotations

KINDS = ("phone", "identity", "email", "plate")
"""Kinds of planted identifiers."""

LEADS = ("请回电{}。", "身份证号{}。", "材料可发到{}。", "车牌{}。")
"""How each kind stands in a text."""

_WIDE = str.maketrans("0123456789", "０１２３４５６７８９")
_SPOKEN = str.maketrans("0123456789", "零幺二三四五六七八九")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"


def identifier(kind: int, number: int) -> str:
    """The planted identifier of a kind with a number of 0 or more.

    Examples
    --------
    >>> [identifier(0, form * 10_000 + 42) for form in range(3)]
    ['15400000042', '+8615400000042', '154-0000-0042']
    >>> identifier(1, 20_042), identifier(2, 42), identifier(3, 42)
    ('990000195001210424', 'u42@example.com', '宁Z00042')
    """
    if kind == 0:
        return _phone(number // 10_000 % 6, number % 10_000)
    if kind == 1:
        return _identity(number)
    return f"u{number}@example.com" if kind == 2 else f"宁Z{number % 100_000:05d}"


def _phone(form: int, number: int) -> str:
    digits = f"1540000{number:04d}"
    return (
        digits,
        f"+86{digits}",
        f"{digits[:3]}-{digits[3:7]}-{digits[7:]}",
        f"{digits[:3]} {digits[3:7]} {digits[7:]}",
        digits.translate(_WIDE),
        digits.translate(_SPOKEN),
    )[form]


def _identity(number: int) -> str:
    rest, serial = divmod(number, 1000)
    rest, day = divmod(rest, 28)
    year, month = divmod(rest, 12)
    body = f"990000{1950 + year % 60}{1 + month:02d}{1 + day:02d}{serial:03d}"
    total = sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True))
    return body + _CHECKS[total % 11]
