"""Orders by the rule, slowly: every step that came is kept and gone through for every question."""

from __future__ import annotations

from random import Random
from typing import Any

from agents.hotline.orders import Orders, OrderStep
from schemas.workdays import WorkDays

HOUR = 3_600_000
DAY = 24 * HOUR
SHANGHAI = WorkDays("Asia/Shanghai", [], [])
LIMITS = {"consult": 1, "help": 3, "complaint": 3}
MAY_22 = 1_779_379_200_000
"""Friday 2026-05-22, 00:00 in Shanghai."""


def orders(closed: int = DAY, open_: int = 4 * DAY) -> Orders:
    return Orders(LIMITS, SHANGHAI, closed_ms=closed, open_ms=open_)


def step(seq: int | None, status: str, t: int, **fields: Any) -> OrderStep:
    plain = OrderStep(
        "A", "12345", seq, status, t, MAY_22, None, "440106", "noise", None, None, "normal"
    )
    return plain._replace(**fields)


ORDER = [
    *("created", "dispatched", "returned", "accepted", "in_progress", "delayed", "supervised"),
    *("replied", "closed", "evaluated", "reopened", "merged", "withdrawn", "archived"),
]
AFTER = {
    "created": "dispatched merged withdrawn",
    "dispatched": "accepted returned merged withdrawn",
    "returned": "dispatched",
    "accepted": "in_progress delayed supervised withdrawn",
    "in_progress": "replied delayed supervised",
    "delayed": "in_progress",
    "supervised": "in_progress",
    "replied": "closed",
    "closed": "evaluated reopened",
    "evaluated": "archived reopened",
    "reopened": "dispatched",
    "merged": "",
    "withdrawn": "",
    "archived": "",
}
WALK = ["created", "dispatched", "accepted", "in_progress", "replied", "closed", "evaluated"]
WALK += ["archived"]
WHENCE = {status: WALK.index(status) for status in WALK}
WHENCE |= {"returned": 0, "reopened": 0, "delayed": 2, "supervised": 2}
SHUT = {"closed", "evaluated", "archived", "merged", "withdrawn"}
URGENT = ["normal", "urgent", "critical"]


def sort(steps: list[OrderStep]) -> list[OrderStep]:
    if any(step.seq is None for step in steps):
        numbers = {id(step): -1 if step.seq is None else step.seq for step in steps}
        return sorted(steps, key=lambda s: (s.t, ORDER.index(s.status), numbers[id(s)]))
    return sorted(steps, key=lambda s: (s.seq or 0, s.t, ORDER.index(s.status)))


def skips(before: str, status: str) -> bool:
    ahead = before in WHENCE and status in WALK and WALK.index(status) > WHENCE[before]
    return ahead and status not in AFTER[before].split()


def walk(steps: list[OrderStep]) -> tuple[str | None, list[OrderStep]]:
    """The status, and the steps that moved it."""
    status, moved = None, list[OrderStep]()
    for step in sort(steps):
        if status is None or step.status in AFTER[status].split() or skips(status, step.status):
            status = step.status
            moved.append(step)
    return status, moved


def last_of(moved: list[OrderStep], field: str) -> str | None:
    told = [value for step in moved if (value := getattr(step, field)) is not None]
    return told[-1] if told else None


def place_of(moved: list[OrderStep]) -> str:
    place = moved[0].place
    for step in moved[1:]:
        if not place.startswith(step.place):
            place = step.place
    return place


class PlainOrders:
    """The same questions as of `Orders`."""

    def __init__(self, limits: dict[str, int], calendar: WorkDays, closed: int, open_: int) -> None:
        self.limits, self.calendar = limits, calendar
        self.kept_ms = {True: closed, False: open_}
        self.steps: dict[tuple[str, str], list[OrderStep]] = {}
        self.expired = 0

    def due_of(self, steps: list[OrderStep], moved: list[OrderStep]) -> int | None:
        due = [step.due for step in moved if step.due is not None]
        if due:
            return due[-1]
        days = self.limits.get(last_of(moved, "type") or "")
        return None if days is None else self.calendar.due(steps[0].t_created, days)

    def take(self, step: OrderStep) -> tuple[str, int | None, int | None]:
        steps = self.steps.setdefault((step.system, step.order_id), [])
        repeat = any((s.seq, s.t, s.status) == (step.seq, step.t, step.status) for s in steps)
        if not repeat:
            steps.append(step)
        _, moved = walk(steps)
        ordered = sort(steps)
        until = ordered[: ordered.index(step)] if not repeat else []
        flag = ""
        if repeat or not any(s is step for s in moved):
            flag = "illegal"
        elif ordered[-1] is not step:
            flag = "out_of_order"
        elif moved[0] is step and step.status != "created":
            flag = "unseen_start"
        elif len(moved) > 1 and skips(moved[-2].status, step.status):
            flag = "skipped"
        before = [s.due for s in walk(until)[1] if s.due is not None]
        due = step.due
        if due is None and before:
            due = before[-1]
        if due is None:
            due = self.due_of(steps, moved)
        on_time = None
        if step.status == "closed" and flag != "illegal" and due is not None:
            on_time = 1 if step.t <= due else 0
        return flag, due, on_time

    def end_of(self, steps: list[OrderStep]) -> int:
        status, _ = walk(steps)
        last = max(step.t for step in steps) + self.kept_ms[status in SHUT]
        return last // DAY * DAY + DAY

    def open_at(self, hop: int) -> list[tuple[object, ...]]:
        found = list[tuple[object, ...]]()
        for (system, order_id), every in sorted(self.steps.items()):
            steps = [step for step in every if step.t < hop]
            status, moved = walk(steps)
            if status is None or status in SHUT or self.end_of(steps) <= hop:
                continue
            due = self.due_of(every, moved)
            said = (last_of(moved, field) for field in ("category", "department", "type"))
            urgency = max((step.urgency for step in moved), key=URGENT.index)
            age = max(0, hop - every[0].t_created)
            past = due is not None and due <= hop
            row = (order_id, system, status, place_of(moved), *said, urgency, age, due, past)
            found.append(row)
        return found

    def forget(self, watermark: int) -> None:
        for name, steps in list(self.steps.items()):
            if self.end_of(steps) <= watermark:
                self.expired += walk(steps)[0] not in SHUT
                del self.steps[name]


def steps_of_an_order(rng: Random, order_id: str, start: int) -> list[OrderStep]:
    """A life with illegal turns, in the order of its numbers."""
    t_created, numbered = start - rng.choice((0, 0, HOUR)), rng.random() < 0.8
    system = rng.choice(("12345", "cgj"))
    kind = rng.choice((None, "consult", "help", "complaint", "suggestion"))
    status, t, steps = "created", start, list[OrderStep]()
    for seq in range(rng.randrange(1, 14)):
        step = OrderStep(
            order_id=order_id,
            system=system,
            seq=seq if numbered or rng.random() < 0.5 else None,
            status=status,
            t=t,
            t_created=t_created,
            due=start + rng.randrange(6 * DAY) if rng.random() < 0.2 else None,
            place=rng.choice(("440106001002", "440106001", "440106", "440103001")),
            category=rng.choice((None, "noise", "water")),
            department=rng.choice((None, "police", "water")),
            type=kind if rng.random() < 0.7 else None,
            urgency=rng.choice(("normal", "normal", "urgent")),
        )
        steps.append(step)
        following = AFTER[status].split()
        status = rng.choice(following if following and rng.random() < 0.9 else ORDER)
        t += rng.choice((0, 1, HOUR, 5 * HOUR, rng.randrange(2 * DAY)))
    return steps


def arrivals(rng: Random, orders: int) -> list[OrderStep]:
    """Steps of many orders as a lane gets them: most in time, some early, late, twice or never."""
    begun = [rng.randrange(30 * DAY) for _ in range(orders)]
    told = [
        (step.t + rng.choice((0, 0, 0, 0, 1, HOUR, 20 * HOUR, -HOUR)), step)
        for number, start in enumerate(sorted(begun))
        for step in steps_of_an_order(rng, f"A{number % (orders // 2)}", start)
        for _ in range(rng.choice((0, 1, 1, 1, 1, 1, 1, 1, 2)))
    ]
    return [step for _, step in sorted(told, key=lambda item: item[0])]
