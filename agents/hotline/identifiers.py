"""What a string of ASCII digits can be: the rules of the numbers that name a person."""

from __future__ import annotations

from datetime import date
from itertools import cycle

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_REGIONS = frozenset(
    f"{area}{province}"
    for area, provinces in (
        *((1, (1, 2, 3, 4, 5)), (2, (1, 2, 3)), (3, range(1, 8)), (4, range(1, 7))),
        *((5, range(5)), (6, range(1, 6)), (7, (1,)), (8, (1, 2, 3)), (9, range(1, 7))),
    )
    for province in provinces
)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def is_identity(number: str) -> bool:
    """Whether 18 characters are an identity number: region, day of birth, check character.

    GB 11643-1999 with the check of ISO 7064 MOD 11-2.  The regions are those of GB/T 2260, 81 to
    83 for residents of Hong Kong, Macao and Taiwan, and 9 with the first digit of a province for
    permanent residents.  Any 18 digits pass the check alone with a chance of 1 in 11, so the day
    must be one of the calendar.

    Examples
    --------
    >>> is_identity("11010519491231002X"), is_identity("110105194912310021")
    (True, False)
    """
    return (
        number[:2] in _REGIONS
        and number[6:8] in ("19", "20")
        and _is_day(number[6:10], number[10:14])
        and _CHECKS[sum(int(c) * w for c, w in zip(number[:17], _WEIGHTS, strict=True)) % 11]
        == number[17]
    )


def is_old_identity(number: str) -> bool:
    """Whether 15 digits are an identity number of before 1999: no century and no check.

    Examples
    --------
    >>> is_old_identity("110105491231002"), is_old_identity("202610120001234")
    (True, False)
    """
    return number[:2] in _REGIONS and _is_day("19" + number[6:8], number[8:12])


def is_mobile(number: str) -> bool:
    """Whether 11 digits are of the mobile range; 13 to 19, so that no new allocation leaks.

    Examples
    --------
    >>> is_mobile("16100000000"), is_mobile("12100000000")
    (True, False)
    """
    return len(number) == 11 and number[0] == "1" and number[1] in "3456789"


def area_length(number: str) -> int:
    """Digits of the area code of a landline number with its leading 0; 0 where it is none.

    010 and 02x have three digits and eight more; the others four, and seven or eight more.
    Whether the local part can be one is another question: `is_local`.

    Examples
    --------
    >>> area_length("02081234567"), area_length("07558123456"), area_length("00812345678")
    (3, 4, 0)
    """
    area = 3 if number[1] in "12" else 4
    wanted = (11,) if area == 3 else (11, 12)
    fits = number[0] == "0" and number[1] != "0" and len(number) in wanted
    return area if fits else 0


def is_local(number: str) -> bool:
    """Whether seven or eight digits can be a landline number: 1 and 9 begin service numbers.

    >>> is_local("81234567"), is_local("12345678")
    (True, False)
    """
    return number[0] in "2345678"


def is_day(number: str) -> bool:
    """Whether eight digits are a day as YYYYMMDD, of this century or the last.

    >>> is_day("20261012"), is_day("20261312")
    (True, False)
    """
    return len(number) == 8 and number[:2] in ("19", "20") and _is_day(number[:4], number[4:])


def is_card(number: str) -> bool:
    """Whether 16 to 19 digits are a bank card: an issuer's range (ISO/IEC 7812) and Luhn's check.

    One number in ten passes Luhn's check, so the ranges keep order numbers out: UnionPay (62),
    domestic cards of before it (6, 94 to 99, 103), Visa (4), JCB (35), and, with 16 digits,
    Mastercard (51 to 55, 22 to 27).

    Examples
    --------
    >>> is_card("4111111111111111"), is_card("4111111111111112"), is_card("8877665544332211")
    (True, False, False)
    """
    return _has_issuer(number) and luhn(number)


def _has_issuer(number: str) -> bool:
    first, second = number[0], number[1]
    if first == "6" or number.startswith(("35", "103")):
        return True
    if first == "4":
        return len(number) in (16, 19)
    if first == "9":
        return second in "456789"
    return len(number) == 16 and (
        (first == "5" and second in "12345") or (first == "2" and second in "234567")
    )


def luhn(number: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1, annex B).

    >>> luhn("79927398713"), luhn("79927398710")
    (True, False)
    """
    doubles = cycle((False, True))
    digits = zip(map(int, reversed(number)), doubles, strict=False)
    return sum(_DOUBLED[d] if double else d for d, double in digits) % 10 == 0


def _is_day(year: str, month_day: str) -> bool:
    try:
        date(int(year), int(month_day[:2]), int(month_day[2:]))
    except ValueError:
        return False
    return True
