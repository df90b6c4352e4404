"""Identifiers of persons in hotline text: where they are, and the text without them (rule R9).

Numbers and addresses that have a structure are found: telephones, identity numbers, bank cards,
number plates, e-mail.  Names and street addresses cannot be found by rules; therefore the text
itself ends at intake, masked or not, and masking is the second lock.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from agents.hotline.mails import mails
from agents.hotline.normal_form import normal_form
from agents.hotline.numbers import numbers
from agents.hotline.plates import plates

Kind: TypeAlias = Literal["phone", "identity", "card", "plate", "mail"]

PLACEHOLDERS: dict[str, str] = {
    "phone": "[电话]",
    "identity": "[证件]",
    "card": "[银行卡]",
    "plate": "[车牌]",
    "mail": "[邮箱]",
}
"""What stands for an identifier of each kind in a masked text."""


class Span(NamedTuple):
    """Characters ``start`` to ``end`` (exclusive) of the original text, and what they are."""

    kind: str
    start: int
    end: int


def spans(text: str) -> list[Span]:
    """Find the identifiers of a text, in order and without overlap.

    Where two overlap, both are one span of the kind of the longer: rather a neighbour too much
    than a digit too few.

    Parameters
    ----------
    text
        As it came, in any spelling.

    Examples
    --------
    >>> spans("我的电话是161\u200b-0000-0000，车牌粤A·00000")
    [Span(kind='phone', start=5, end=19), Span(kind='plate', start=22, end=30)]
    """
    normal = normal_form(text)
    found: list[Span] = [Span(*number) for number in numbers(normal)]
    starts = {number.start for number in found}
    found += [Span("plate", start, end) for start, end in plates(normal, starts)]
    found += [Span("mail", start, end) for start, end in mails(normal)]
    if not found:
        return []
    # What is unseen behind an identifier goes with it: a place ends where the next begins.
    places = (*normal.places, len(text))
    return [Span(kind, places[start], places[end]) for kind, start, end in _together(found)]


def _together(found: list[Span]) -> list[Span]:
    if len(found) < 2:
        return found
    found.sort(key=lambda span: (span.start, -span.end, span.kind))
    merged: list[Span] = []
    longest = 0
    for span in found:
        size = span.end - span.start
        if not merged or span.start >= merged[-1].end:
            merged.append(span)
            longest = size
            continue
        last = merged[-1]
        kind, longest = (span.kind, size) if size > longest else (last.kind, longest)
        merged[-1] = Span(kind, last.start, max(last.end, span.end))
    return merged


def mask(text: str) -> str:
    """Put a placeholder where an identifier is.

    Examples
    --------
    >>> mask("张女士１６１００００００００来电，粤A·00000占道，工单号20261012000123")
    '张女士[电话]来电，[车牌]占道，工单号20261012000123'
    """
    parts: list[str] = []
    done = 0
    for kind, start, end in spans(text):
        parts += (text[done:start], PLACEHOLDERS[kind])
        done = end
    return "".join((*parts, text[done:])) if done else text
