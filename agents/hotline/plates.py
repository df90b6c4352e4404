"""Number plates in a normal form (GA 36-2018).

A plate is a province, a letter, and five characters more; six for new energy; four and a
character for police, learners, trailers and cars that cross to Hong Kong and Macao.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from agents.hotline.normal_form import Normal

_GAP = r"[ \t·._~*-]"
_HEAD = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]" + _GAP + r"{0,3}+[A-Za-z]"
)
_TAIL = re.compile(rf"(?:{_GAP}{{0,3}}+[A-Za-z0-9]){{4,9}}+")
_GREEN = re.compile(r"[A-HJK][A-HJ-NP-Z0-9][0-9]{4}|[0-9]{5}[A-HJK]", re.IGNORECASE)
# Words that only begin like the ending of a plate: 学校, 港口 …
_ENDING = re.compile(
    _GAP + r"{0,2}+(?:应急|警(?![察方官务报])|学(?![校生院期区龄位])|挂(?!号)|港(?![口湾])|澳(?!门)"
    r"|领(?!导)|试(?![验点])|超(?![市过速载]))"
)


def plates(normal: Normal, numbers: Container[int] = ()) -> Iterator[tuple[int, int]]:
    """Starts and ends of all plates.

    Parameters
    ----------
    numbers
        Where other numbers begin: there a plate may end although a digit touches it.

    Examples
    --------
    >>> from agents.hotline.normal_form import normal_form
    >>> list(plates(normal_form("粤A·00000占道，粤ad00000也在，粤B2-20050001号")))
    [(0, 8), (11, 19)]
    """
    for head in _HEAD.finditer(normal.plain):
        # Letters among Chinese numerals are rare: first as it stands, then with those read.
        end = _end(normal.plain, normal.plain, head.end(), numbers)
        end = end or _end(normal.digits, normal.plain, head.end(), numbers)
        if end:
            yield head.start(), end


def _end(text: str, plain: str, begin: int, numbers: Container[int]) -> int:
    tail = _TAIL.match(text, begin)
    if tail is None:
        return 0
    at = [i for i in range(*tail.span()) if text[i].isascii() and text[i].isalnum()]
    serial = "".join([text[i] for i in at])
    stops = [
        size
        for size in (4, 5, 6)
        if len(at) >= size and (at[size - 1] + 1 in numbers or _is_edge(text, plain, at[size - 1]))
    ]
    if 6 in stops and _GREEN.fullmatch(serial[:6]):
        return at[5] + 1
    for size in (5, 6):
        # At most two letters: the tail of 新B apple is a word.
        if size in stops and sum(map(str.isdigit, serial[:size])) >= 3:
            return at[size - 1] + 1
    if 4 in stops and sum(map(str.isdigit, serial[:4])) >= 2:
        ending = _ENDING.match(text, at[3] + 1)
        if ending is not None:
            return ending.end()
    return 0


def _is_edge(text: str, plain: str, last: int) -> bool:
    """Whether nothing touches what ends at ``last`` but a numeral that may be a word."""
    after = text[last + 1 : last + 2]
    if not (after.isascii() and after.isalnum()):
        return True
    return not plain[last].isascii() or not plain[last + 1].isascii()
