"""The life of a work order: which step may follow which, and what state its steps lead to.  Pure.

::

    created → dispatched → accepted → in_progress → replied → closed → evaluated → archived
    dispatched → returned → dispatched
    accepted | in_progress → delayed | supervised → in_progress
    closed | evaluated → reopened → dispatched
    created | dispatched → merged;  created | dispatched | accepted → withdrawn

Steps may arrive out of order: they count in the order of ``(seq, t)``.  A step further on in the
first line moves the order too, and is flagged: many sources do not tell of every step.  Any other
step that may not follow the state before it is kept and flagged, and moves nothing.  An order whose
first step is another than ``created`` is taken up as it stands there: its log began in the middle.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

CREATED, CLOSED = "created", "closed"

NEXT: dict[str, frozenset[str]] = {
    "created": frozenset({"dispatched", "merged", "withdrawn"}),
    "dispatched": frozenset({"accepted", "returned", "merged", "withdrawn"}),
    "returned": frozenset({"dispatched"}),
    "accepted": frozenset({"in_progress", "delayed", "supervised", "withdrawn"}),
    "in_progress": frozenset({"replied", "delayed", "supervised"}),
    "delayed": frozenset({"in_progress"}),
    "supervised": frozenset({"in_progress"}),
    "replied": frozenset({"closed"}),
    "closed": frozenset({"evaluated", "reopened"}),
    "evaluated": frozenset({"archived", "reopened"}),
    "reopened": frozenset({"dispatched"}),
    "merged": frozenset(),
    "withdrawn": frozenset(),
    "archived": frozenset(),
}
"""The steps that may follow each status; in this order where nothing else tells two steps apart."""

PATH = (
    "created",
    "dispatched",
    "accepted",
    "in_progress",
    "replied",
    "closed",
    "evaluated",
    "archived",
)
_TURNED = {"returned": 0, "reopened": 0, "delayed": 2, "supervised": 2}
_AT = {status: at for at, status in enumerate(PATH)} | _TURNED
"""How far along the path an order is; where it has turned off, whence it goes on."""

STATUSES = tuple(NEXT)
ENDED = frozenset({"closed", "evaluated", "archived", "merged", "withdrawn"})
"""What Open311 (GeoReport v2) calls ``closed``; every other status is ``open``."""

ILLEGAL, OUT_OF_ORDER, SKIPPED = "illegal", "out_of_order", "skipped"
UNSEEN_START = "unseen_start"
FLAGS = (ILLEGAL, OUT_OF_ORDER, SKIPPED, UNSEEN_START)
"""What may be said of a step; where several things may, the first of them."""

_RANK = {status: rank for rank, status in enumerate(STATUSES)}


def is_open(status: str | None) -> bool:
    """Whether an order of that status is open; one without a status is not there.

    >>> is_open("reopened"), is_open("merged"), is_open(None)
    (True, False, False)
    """
    return status is not None and status not in ENDED


def may_follow(before: str | None, status: str) -> bool:
    """Whether a step moves the order; ``before`` is None where nothing of the order is known."""
    if before is None:
        return status in NEXT
    return status in NEXT[before] or skips(before, status)


def skips(before: str | None, status: str) -> bool:
    """Whether a step lies further on along the path, with steps between that nobody told of.

    >>> skips("created", "closed"), skips("created", "dispatched"), skips("closed", "accepted")
    (True, False, False)
    """
    if before not in _AT or status not in PATH:
        return False
    return status not in NEXT[before] and PATH.index(status) > _AT[before]


class Place(NamedTuple):
    """Where a step stands among the steps of its order; compared within one order alone."""

    seq: int
    t: int
    rank: int
    number: int


def place_of(seq: int | None, t: int, status: str, *, numbered: bool) -> Place:
    """Where a step stands.

    Parameters
    ----------
    seq, t, status
        Number in the order, event time in int64 ms, and what was done.
    numbered
        Whether all steps of the order have a number; else all of them stand by their time, and
        those of one ms in the order of `STATUSES`.
    """
    rank = _RANK.get(status, len(_RANK))
    number = -1 if seq is None else seq
    return Place(number if numbered else 0, t, rank, number)


def follow(before: str | None, statuses: Iterable[str]) -> tuple[str | None, list[bool]]:
    """Take the steps one after the other.

    Parameters
    ----------
    before
        The status before them; None where nothing is known.
    statuses
        Of the steps in their order.

    Returns
    -------
    status, legal
        The status after them, and of each whether it was legal.

    Examples
    --------
    >>> follow(None, ["created", "closed", "dispatched"])
    ('closed', [True, True, False])
    """
    legal = []
    for status in statuses:
        legal.append(may_follow(before, status))
        if legal[-1]:
            before = status
    return before, legal
