"""Which of the planned episodes happen, day by day."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

from agents.city.devices import Fleet
from agents.city.draws import mix
from agents.city.episodes import KINDS, Episode, Plan
from agents.city.planning import plan_day
from agents.city.rhythm import DAY

_CHOICE = 0xE916
_Name = tuple[int, int]
"""Day of a plan, and its number among the plans of that day."""


class Almanac:
    """All episodes of a city, day by day; a day runs from 06:00 to 06:00 local time.

    An episode and its tail stay within their day, so a minute depends on one day alone.

    Parameters
    ----------
    seed, fleet
        Of the city.
    count
        How many episodes happen within the first ``length`` minutes, none after them; None for
        all that is planned for each day, without end.
    length
        Minutes of the run from which the ``count`` are chosen.

    Raises
    ------
    ValueError
        Where fewer than ``count`` episodes are planned to end within the run.
    """

    def __init__(
        self, seed: int, fleet: Fleet, count: int | None = None, length: int = DAY
    ) -> None:
        self._seed = seed
        self._fleet = fleet
        self._planned = lru_cache(maxsize=64)(self._plan)
        self._chosen = None if count is None else self._choose(count, length)
        self.day = lru_cache(maxsize=64)(self._day)

    def active(self, k: int, kind: str) -> list[Plan]:
        """Episodes of a kind in force at city minute ``k``."""
        return [
            plan
            for plan in self.day(k // DAY)
            if plan.episode.kind == kind and plan.episode.start <= k < plan.episode.end
        ]

    def until(self, k: int) -> list[Episode]:
        """Episodes that begin before city minute ``k``, by their start."""
        found = [plan.episode for day in range((k - 1) // DAY + 1) for plan in self.day(day)]
        return sorted(
            (episode for episode in found if episode.start < k),
            key=lambda episode: (episode.start_ms, episode.kind, episode.place),
        )

    def _plan(self, day: int) -> tuple[Plan, ...]:
        return plan_day(self._seed, self._fleet, day)

    def _day(self, day: int) -> tuple[Plan, ...]:
        plans = self._planned(day)
        if self._chosen is None:
            return plans
        return tuple(plan for plan in plans if (day, plan.number) in self._chosen)

    def _choose(self, count: int, length: int) -> set[_Name]:
        """Choose in turn of the kinds; a storm and its waterlogging come together or not at all."""
        waiting: dict[str, list[tuple[_Name, ...]]] = defaultdict(list)
        for day in range(-(-length // DAY)):
            for group in _groups(self._planned(day)):
                if all(plan.episode.end <= length for plan in group):
                    names = tuple((day, plan.number) for plan in group)
                    waiting[group[0].episode.kind].append(names)
        total = sum(len(names) for groups in waiting.values() for names in groups)
        for groups in waiting.values():
            groups.sort(key=lambda names: mix(self._seed, _CHOICE, *names[0]))
        taken: list[tuple[_Name, ...]] = []
        room, passed = count, True
        while room and passed:
            passed = False
            for kind in KINDS:
                groups = waiting[kind]
                if groups and len(groups[0]) <= room:
                    taken.append(groups.pop(0))
                    room -= len(taken[-1])
                    passed = True
        if room == 1 and waiting["storm"]:
            # Only pairs are left: one of them takes the place of a single one.
            single = next((names for names in reversed(taken) if len(names) == 1), None)
            if single is not None:
                taken.remove(single)
                taken.append(waiting["storm"].pop(0))
                room = 0
        if room:
            days = -(-count // len(self._planned(0)))
            raise ValueError(
                f"episodes is {count}: {total} are planned to end within {length} minutes, "
                "and a storm goes with its waterlogging; ask for fewer, or for a longer run: "
                f"{days * DAY} minutes have so many"
            )
        return {name for names in taken for name in names}


def _groups(plans: tuple[Plan, ...]) -> list[tuple[Plan, ...]]:
    """The plans of a day; each storm with the waterlogging of its district."""
    floods = {plan.episode.place: plan for plan in plans if plan.episode.kind == "waterlogging"}
    return [
        (plan, floods[plan.episode.place]) if plan.episode.kind == "storm" else (plan,)
        for plan in plans
        if plan.episode.kind != "waterlogging"
    ]
