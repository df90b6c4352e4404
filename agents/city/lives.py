"""The lives of work orders: which steps follow each other, how often and after how long."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from agents.city.draws import Floats, Ints

STATUSES = (
    "created",
    "dispatched",
    "accepted",
    "returned",
    "in_progress",
    "delayed",
    "supervised",
    "replied",
    "closed",
    "evaluated",
    "archived",
    "reopened",
    "merged",
    "withdrawn",
)


class Life(NamedTuple):
    """A course that an order can take.

    Attributes
    ----------
    name
        As the ground truth calls it.
    share
        Of all orders; what the others leave is ``plain``, and ``merged`` comes to twins alone.
    steps
        Positions in `STATUSES`, ``created`` first.
    """

    name: str
    share: float
    steps: tuple[int, ...]


_OPENED = "created dispatched accepted in_progress"
_CLOSED = f"{_OPENED} replied closed"
_AGAIN_CLOSED = _CLOSED.removeprefix("created ")
_COURSES = (
    ("evaluated", 0.30, f"{_CLOSED} evaluated"),
    ("archived", 0.20, f"{_CLOSED} evaluated archived"),
    # Dispatched to another office first, which sends it back.
    ("returned", 0.03, f"created dispatched returned {_AGAIN_CLOSED}"),
    ("delayed", 0.015, f"{_OPENED} delayed in_progress replied closed"),
    ("supervised", 0.015, f"{_OPENED} supervised in_progress replied closed"),
    ("withdrawn", 0.015, "created dispatched withdrawn"),
    ("reopened", 0.004, f"{_CLOSED} evaluated reopened {_AGAIN_CLOSED}"),
    # Closed one to four hours after it was due; where it is due in days, it is forgotten instead.
    ("overdue", 0.002, _CLOSED),
    # Never closed; an order of the city's own inspectors is overdue instead.
    ("forgotten", 0.001, _OPENED),
    # Against the rules of an order's life.
    ("closed_twice", 0.001, f"{_CLOSED} closed"),
    ("accepted_after_closed", 0.001, f"{_CLOSED} accepted"),
    ("merged", 0.0, "created dispatched merged"),
)
_REST = 1.0 - sum(share for _, share, _ in _COURSES)
LIVES = tuple(
    Life(name, share, tuple(STATUSES.index(step) for step in steps.split()))
    for name, share, steps in (*_COURSES, ("plain", _REST, _CLOSED))
)
"""Every life, with its share of the orders."""

NAMES = tuple(life.name for life in LIVES)
ILLEGAL = ("closed_twice", "accepted_after_closed")
"""Lives that end in a step against the rules."""

RETURNED, REOPENED = NAMES.index("returned"), NAMES.index("reopened")
OVERDUE, FORGOTTEN = NAMES.index("overdue"), NAMES.index("forgotten")
MERGED = NAMES.index("merged")

LONGEST = max(len(life.steps) for life in LIVES)
LENGTHS: Ints = np.array([len(life.steps) for life in LIVES])
_EDGES = np.cumsum([life.share for life in LIVES[:-1]])

# Shortest and longest time after the step before, seconds; urgent orders take a quarter.
_WAITS = {
    "created": (0, 0),
    "dispatched": (1, 4),
    "accepted": (180, 2400),
    "returned": (600, 7200),
    "in_progress": (300, 7200),
    "delayed": (1800, 14400),
    "supervised": (1800, 14400),
    "replied": (1800, 21600),
    "closed": (1800, 14400),
    "evaluated": (1800, 57600),
    "archived": (3600, 43200),
    "reopened": (1800, 14400),
    "merged": (120, 3600),
    "withdrawn": (600, 7200),
}
_AGAIN = (300, 3600)
"""A step that comes a second time, or against the rules."""


def _waits(life: Life) -> list[tuple[int, int]]:
    found, highest = [], -1
    for step in life.steps:
        found.append(_WAITS[STATUSES[step]] if step > highest else _AGAIN)
        highest = max(highest, step)
    return found + [(0, 0)] * (LONGEST - len(found))


_LOW, _HIGH = np.moveaxis(np.array([_waits(life) for life in LIVES]) * 1000, 2, 0)

LOOK_BACK_HOURS = int(_HIGH.sum(axis=1).max()) // 3_600_000 + 2
"""No order speaks longer than this many hours after the hour of its creation."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the orders of the hotline that are not as a reader would like them.

    Parameters
    ----------
    uncategorised
        Of the 12345 orders: the created step has no category; its text tells the topic.
    without_due
        Of all orders: no step says when it is due. Orders that are planned to be late say it.
    repeated
        Of all orders after the first hour: a caller who called about the same matter one, four,
        26 or 49 hours ago calls again, from the same place.
    merged
        Of the repeated orders, and of those of a burst after its first one: merged into the
        earlier order.
    identifiers
        Of all orders: the text holds an identifier, see `agents.city.identifiers`.
    overtaken
        Of all orders: the first or second step arrives after its successor.

    Raises
    ------
    ValueError
        Where a share is not in [0, 1].
    """

    uncategorised: float = 0.05
    without_due: float = 0.3
    repeated: float = 0.03
    merged: float = 0.4
    identifiers: float = 0.02
    overtaken: float = 0.004

    def __post_init__(self) -> None:
        for part in fields(self):
            share = getattr(self, part.name)
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"shares.{part.name} is {share}: give a share between 0 and 1")


def draw_life(draw: Floats) -> Ints:
    """Positions in `LIVES` for uniform draws; none is merged."""
    life: Ints = np.searchsorted(_EDGES, draw, side="right")
    return life


def draw_steps(created: Ints, life: Ints, quick: Ints, draw: Floats) -> Ints:
    """Times of the steps, ms UTC, shape (orders, LONGEST); those after a life's end are void.

    Parameters
    ----------
    created
        Times of creation, ms UTC.
    life
        Positions in `LIVES`.
    quick
        Which orders take a quarter of the time.
    draw
        Uniform draws, shape (LONGEST - 1, orders).
    """
    low, high = _LOW[life, 1:], _HIGH[life, 1:]
    waits = low + ((high - low) * draw.T).astype(np.int64)
    waits = np.where(quick[:, None] > 0, waits // 4, waits)
    return np.concatenate((created[:, None], created[:, None] + np.cumsum(waits, axis=1)), axis=1)
