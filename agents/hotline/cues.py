"""Words before a number that say what it is: 电话, 身份证号, 银行卡, 订单号 …

A cue touches its number: nothing but punctuation stands between.  Square brackets are no such
punctuation, for a masked text holds ``[电话]``, and must be masked no further.
"""

from __future__ import annotations

import re
from typing import TypeAlias

Cue: TypeAlias = re.Pattern[str]

_GAP = r"[^\w\[\]]{0,3}"
_REACH = 16
"""No cue with its gaps is longer than this many characters."""


def _cue(words: str) -> Cue:
    return re.compile(rf"(?:{words}){_GAP}[是为]?{_GAP}\Z", re.IGNORECASE)


LANDLINE = _cue("(?:电话|座机|固话|致电|回电|拨打|联系方式|tel|phone)(?:号码|号)?")
PHONE = _cue(
    "(?:电话|手机|座机|固话|[致回来]电|拨打|联系方式|微信|tel|phone|mobile)(?:号码|号)?|号码"
)
IDENTITY = _cue("(?:身份证|证件)(?:号码|号)?")
CARD = _cue(
    "(?:银行卡|储蓄卡|借记卡|信用卡)(?:卡号|号码|号)?|[账帐][号户](?:号码|号)?|(?<![通交气水])卡号"
)
SERIAL = _cue(
    "[单户表案文票桩]号|编[号码]|流水号?|(?:序列|合同|批次|设备)号?|(?:订|工|运)单"
    "|(?:水|燃气|公交)卡号?|[代条]码"
)


def says(cue: Cue, text: str, place: int) -> bool:
    """Whether a cue stands right before a place of a text.

    >>> says(SERIAL, "订单号：123", 4), says(SERIAL, "订单号123，456", 8)
    (True, False)
    """
    if text[max(0, place - 1) : place].isdecimal():
        return False  # most starts are inside a run, where no cue can be
    return cue.search(text, max(0, place - _REACH), place) is not None
