"""E-mail addresses in a normal form, with the spellings that hide them from simple filters."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agents.hotline.normal_form import Normal

_AT = re.compile(r" {0,3}+(?:@|[\[({<【〔「#_-] ?at ?[\])}>】〕」#_-]|艾特) {0,3}+", re.IGNORECASE)
_DOT = r" ?+(?:[.。．·]|[\[({<【] ?(?:dot|点) ?[\])}>】]) ?+"
_LABEL = r"[A-Za-z0-9-]{1,63}+"
_DOMAIN = re.compile(rf"{_LABEL}(?:{_DOT}{_LABEL}){{1,6}}+", re.IGNORECASE)
_TOP = re.compile(rf"{_DOT}([A-Za-z]{{2,24}}+)", re.IGNORECASE)
_LOCAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!%+_-")


def mails(normal: Normal) -> Iterator[tuple[int, int]]:
    """Starts and ends of all addresses.

    The local part is read back from its @ and no further than the @ before, so that every
    character is looked at once.

    Examples
    --------
    >>> from agents.hotline.normal_form import normal_form
    >>> list(mails(normal_form("邮箱a.b＠example.com，或c[at]example。org；@所有人")))
    [(2, 17), (19, 35)]
    """
    text = normal.plain
    last = 0
    for sign in _AT.finditer(text):
        start = sign.start()
        while start > last and text[start - 1] in _LOCAL:
            start -= 1
        last = sign.end()
        if start < sign.start():
            end = _domain_end(text, sign.end())
            if end:
                yield start, end


def _domain_end(text: str, begin: int) -> int:
    """Where a domain ends, with the last label that begins as a top level does; 0 for none.

    >>> _domain_end("qq.com16100000000", 0), _domain_end("2.50", 0)
    (6, 0)
    """
    domain = _DOMAIN.match(text, begin)
    if domain is None:
        return 0
    end = 0
    for top in _TOP.finditer(text, begin, domain.end()):
        end = top.end()
    return end
