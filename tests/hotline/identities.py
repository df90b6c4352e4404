"""Identifiers that belong to nobody, by the rules of their issuers and not by ours.

Telephone prefixes, area codes, counties, issuers and plate series are ones that were never
allotted (the masking does not know that); the rest of each is drawn.
"""

from __future__ import annotations

from random import Random

PROVINCES = (11, 12, 13, 21, 31, 32, 33, 35, 37, 41, 42, 43, 44, 45, 50, 51, 53, 61, 62, 65)


def digits(draw: Random, count: int) -> str:
    return "".join(str(draw.randrange(10)) for _ in range(count))


def mobile(draw: Random) -> str:
    return draw.choice(("154", "160", "161", "163", "164", "168", "169", "179", "194")) + digits(
        draw, 8
    )


def landline(draw: Random) -> tuple[str, str]:
    """Area code and local number."""
    if draw.random() < 0.5:
        return "026", str(draw.randrange(2, 9)) + digits(draw, 7)
    return draw.choice(("0399", "0499", "0500", "0600", "0699")), str(
        draw.randrange(2, 9)
    ) + digits(draw, draw.choice((6, 7)))


def identity(draw: Random, *, last: str = "") -> str:
    """Eighteen characters: an unknown county, a day of birth, a sequence, the check character.

    The check is ISO 7064's: the number, read in the radix 2 with the check as its last digit, is
    1 modulo 11.
    """
    while True:
        day = f"{draw.randint(1930, 2020)}{draw.randint(1, 12):02}{draw.randint(1, 28):02}"
        body = f"{draw.choice(PROVINCES)}9999{day}{digits(draw, 3)}"
        rest = 0
        for digit in body:
            rest = (rest + int(digit)) * 2 % 11
        check = "0123456789X"[(1 - rest) % 11]
        if check == last or not last:
            return body + check


def old_identity(draw: Random) -> str:
    """Fifteen digits."""
    whole = identity(draw)
    return whole[:6] + f"{draw.randint(20, 99)}" + whole[10:17]


def card(draw: Random, size: int = 0) -> str:
    """A number of UnionPay's range, or of Visa's test range, with Luhn's digit at its end."""
    size = size or draw.choice((16, 17, 18, 19, 19))
    start = "400000" if size == 16 and draw.random() < 0.3 else "620000"
    body = start + digits(draw, size - 7)
    total = 0
    for place, digit in enumerate(reversed(body)):
        total += sum(map(int, str(int(digit) * (2 - place % 2))))
    return body + str(-total % 10)


def plate(draw: Random) -> str:
    """Seven characters of a series that no province has."""
    serial = list(digits(draw, 5))
    for _ in range(draw.randrange(3)):
        serial[draw.randrange(5)] = draw.choice("ABCDEFGHJKLMNPQRSTUVWXYZ")
    return draw.choice("琼藏青宁") + "Z" + "".join(serial)


def green_plate(draw: Random) -> str:
    """Eight characters: small cars have their letter first, large ones last."""
    letter = draw.choice("ABCDEFGHJK")
    if draw.random() < 0.3:
        return draw.choice("琼藏青宁") + "Z" + digits(draw, 5) + letter
    second = draw.choice("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ")
    return draw.choice("琼藏青宁") + "Z" + letter + second + digits(draw, 4)


def special_plate(draw: Random) -> str:
    return draw.choice("琼藏青宁") + "Z" + digits(draw, 4) + draw.choice("警学挂港澳领")


def mail(draw: Random) -> str:
    name = draw.choice(("u{}", "wang.li{}", "{}", "li_{}", "a-b{}", "Zhao{}")).format(
        digits(draw, draw.randint(2, 9))
    )
    return f"{name}@{draw.choice(('example.com', 'mail.example.org', 'example.com.cn'))}"
