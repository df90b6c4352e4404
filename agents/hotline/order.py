"""One work order: its steps in their order, and what they say of it at a moment.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from sys import intern
from typing import NamedTuple

from agents.hotline.lifecycle import (
    CREATED,
    ILLEGAL,
    OUT_OF_ORDER,
    SKIPPED,
    UNSEEN_START,
    Place,
    follow,
    may_follow,
    place_of,
    skips,
)

KEPT = 64
"""Steps of an order that are kept; older ones are folded into what they came to (proposal).

A life without a return or a delay has eight steps.
"""

URGENCIES = ("normal", "urgent", "critical")


class Facts(NamedTuple):
    """What a step says of its order, or several steps together; ``due`` in int64 ms UTC."""

    place: str
    category: str | None
    department: str | None
    type: str | None
    urgency: str
    due: int | None

    def shared(self) -> Facts:
        """The same with texts that are in memory once: a table holds few of them, many times."""
        return Facts(
            intern(self.place),
            self.category and intern(self.category),
            self.department and intern(self.department),
            self.type and intern(self.type),
            intern(self.urgency),
            self.due,
        )

    def then(self, later: Facts) -> Facts:
        """These facts after a later step: what it gives holds, what it leaves out stays.

        A coarser code of the same place takes no precision away.  A later ``normal`` takes no
        urgency away, for that is also what a step reads that says nothing of it.

        >>> first = Facts("440106001", "noise", None, None, "urgent", 50)
        >>> first.then(Facts("440106", None, "police", None, "normal", None))
        Facts(place='440106001', category='noise', department='police', type=None, urgency='urgent', due=50)
        """  # noqa: E501
        if self is later:
            return self
        facts = Facts(
            self.place if self.place.startswith(later.place) else later.place,
            later.category or self.category,
            later.department or self.department,
            later.type or self.type,
            max(self.urgency, later.urgency, key=URGENCIES.index),
            self.due if later.due is None else later.due,
        )
        return later if facts == later else facts


class Step(NamedTuple):
    """One step as it was taken; ``t`` in int64 ms UTC, ``flag`` as it was told on arrival."""

    seq: int | None
    t: int
    status: str
    facts: Facts
    flag: str = ""


class Base(NamedTuple):
    """What the steps that are no longer kept came to: number of the last, latest time, state."""

    seq: int | None
    t: int
    status: str | None
    facts: Facts


class Order(NamedTuple):
    """An order by its steps; it is replaced and never changed.

    Parameters
    ----------
    t_created
        int64 ms UTC, as the step told that came first.
    base, steps
        What it is made of, the steps in their order.
    status, facts
        What they come to; an illegal step adds to neither.
    last_t
        Latest time of a step, int64 ms UTC.
    """

    t_created: int
    base: Base | None
    steps: tuple[Step, ...]
    status: str | None
    facts: Facts
    last_t: int

    def as_of(self, t: int) -> Order | None:
        """The order by its steps before ``t``, int64 ms; None where there are none."""
        if self.last_t < t:
            return self
        steps = tuple(step for step in self.steps if step.t < t)
        if not steps and self.base is None:
            return None
        return order_of(self.t_created, self.base, steps)


class Added(NamedTuple):
    """An order after one more step.

    ``legal`` is whether the step moves the order where it stands, ``due`` what was given for it:
    with the step, else before it, else with a later step (int64 ms UTC).
    """

    order: Order
    flag: str
    legal: bool
    due: int | None


def order_of(t_created: int, base: Base | None, steps: tuple[Step, ...]) -> Order:
    """The order that these steps make; without a base there is at least one."""
    status, facts = _state(base, steps)
    known = steps[0].facts if facts is None else facts
    last_t = max(one.t for one in _held(base, steps))
    return Order(t_created, base, steps, status, known, last_t)


def add(order: Order | None, t_created: int, step: Step) -> Added:
    """Take one more step of an order, wherever it stands; None where it is the first that came.

    A repeat is illegal and is not kept; a step that stands among those folded away is not either.
    """
    if order is not None:
        step = _sharing(order, step)
        if _is_next(order, step):
            return _append(order, step)
    base: Base | None = None
    steps: tuple[Step, ...] = (step,)
    if order is not None:
        t_created, base, steps = order.t_created, order.base, (*order.steps, step)
        if any(known[:3] == step[:3] for known in order.steps):
            return Added(order, ILLEGAL, False, _first(step.facts.due, order.facts.due))
    numbered = all(one.seq is not None for one in _held(base, steps))
    if order is not None and base is not None and _place(step, numbered) <= _place(base, numbered):
        return Added(order, OUT_OF_ORDER, False, _first(step.facts.due, order.facts.due))
    ordered = sorted(steps, key=lambda one: _place(one, numbered))
    at = ordered.index(step)
    status, facts = _state(base, ordered[:at])
    legal = may_follow(status, step.status)
    if not legal:
        flag = ILLEGAL
    elif at + 1 < len(ordered):
        flag = OUT_OF_ORDER
    else:
        flag = _hole(status, step.status)
    ordered[at] = step._replace(flag=flag)
    now = order_of(t_created, *_bounded(base, ordered))
    due = _first(step.facts.due, facts and facts.due, now.facts.due)
    return Added(now, flag, legal, due)


def _sharing(order: Order, step: Step) -> Step:
    """The step with facts that the order has already, where they are the same."""
    for known in reversed(order.steps):
        if known.facts == step.facts:
            return step._replace(facts=known.facts)
    return step


def _is_next(order: Order, step: Step) -> bool:
    """Whether the step stands after all others however they are put in order: it mostly does."""
    last = order.steps[-1]
    if order.status is None or step.seq is None or len(order.steps) >= KEPT:
        return False
    return step.t > order.last_t and (last.seq is None or step.seq > last.seq)


def _append(order: Order, step: Step) -> Added:
    due = _first(step.facts.due, order.facts.due)
    legal = may_follow(order.status, step.status)
    status, facts, flag = order.status, order.facts, ILLEGAL
    if legal:
        flag = _hole(status, step.status)
        status, facts = step.status, facts.then(step.facts)
    steps = (*order.steps, step._replace(flag=flag))
    return Added(Order(order.t_created, order.base, steps, status, facts, step.t), flag, legal, due)


def _hole(before: str | None, status: str) -> str:
    """What to say of a legal step with nothing after it: whether steps before it are unknown."""
    if before is None and status != CREATED:
        return UNSEEN_START
    return SKIPPED if skips(before, status) else ""


def _held(base: Base | None, steps: tuple[Step, ...]) -> tuple[Step | Base, ...]:
    return steps if base is None else (base, *steps)


def _place(step: Step | Base, numbered: bool) -> Place:
    return place_of(step.seq, step.t, step.status or "", numbered=numbered)


def _first(*dues: int | None) -> int | None:
    return next((due for due in dues if due is not None), None)


def _state(base: Base | None, steps: Sequence[Step]) -> tuple[str | None, Facts | None]:
    """Status and facts after the steps; None of either where nothing has moved the order."""
    facts = base and base.facts
    status, legal = follow(base and base.status, [step.status for step in steps])
    for step, moved in zip(steps, legal, strict=True):
        if moved:
            facts = step.facts if facts is None else facts.then(step.facts)
    return status, facts


def _bounded(base: Base | None, steps: list[Step]) -> tuple[Base | None, tuple[Step, ...]]:
    """The same with at most `KEPT` steps."""
    folded, kept = steps[:-KEPT], steps[-KEPT:]
    if folded:
        status, facts = _state(base, folded)
        last_t = max(step.t for step in folded)
        base = Base(
            folded[-1].seq,
            last_t if base is None else max(base.t, last_t),
            status,
            folded[0].facts if facts is None else facts,
        )
    return base, tuple(kept)
