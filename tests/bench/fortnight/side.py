"""Incidents that stories of other rules bring about, as the rules have them.

Water of 28 cm is waterlogging, whoever plants it.  Each entry says why, and between which phases of
the story the incident is raised and cleared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tests.bench.fortnight.planted import SignTruth, Story
from tests.bench.fortnight.stories import DAY_MS
from tests.rules.driven_events import PLACE
from tests.rules.incident_runs import GRID

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


class Side(NamedTuple):
    """One episode of an incident within the time of a story, int64 ms UTC."""

    story: str
    incident: str
    key: str
    level: int
    begin: int
    end: int
    cleared: bool = True


class _Rule(NamedTuple):
    """Raised in one of these phases; its key, and the highest level."""

    incident: str
    key: str
    level: int
    raised: int


_GRID = "grid"
_SITE = "s0"
_BY_SIGN: dict[str, list[_Rule]] = {
    # Without rain it is orange at 25 cm and red at 40.
    "drain.depth": [_Rule("ce.waterlogging", _GRID, 4, 3)],
    # It rises from 12 cm to 37 in its second phase, and beyond 40 in the next one.
    "drain.rise_rate": [_Rule("ce.waterlogging", _GRID, 4, 2)],
    # Two detectors of a building are a second evidence.
    "fire.alarms": [_Rule("ce.fire_confirmed", _SITE, 3, 2)],
    # Red by itself at 50 %LEL, at 5 persons a square metre, at 50 mm a day.
    "lifeline.gas_leak": [_Rule("ce.gas_leak", _GRID, 4, 4)],
    "crowd.density": [_Rule("ce.crowd_crush_risk", _SITE, 4, 4)],
    "geo.displacement": [_Rule("ce.landslide", _SITE, 4, 4)],
    # Red by itself beyond the limit.
    "lifeline.bridge_strain": [_Rule("ce.bridge_overload", _SITE, 4, 3)],
    # An orange warning of rain.
    "meteo.official_warning": [_Rule("ce.storm_mode", "district", 1, 3)],
    # Five persons a square metre while a red crowd caps the index, and after.
    "city.health_index": [_Rule("ce.crowd_crush_risk", _SITE, 4, 3)],
}
_FLOODED = ("blocked", "standstill")
"""Scenes of waterlogging: yellow by rain and 16 cm of water."""


def sides_of(stories: Sequence[Story]) -> Iterator[Side]:
    """What the stories bring about besides."""
    for story in stories:
        yield from _by_phases(story)
        yield from _by_scene(story)
        if story.rule == "fire.rental_alarms_24h":
            yield from _fires(story)
        elif story.rule.startswith("hotline."):
            yield from _hot_spots(story)


def _by_phases(story: Story) -> Iterator[Side]:
    for rule in _BY_SIGN.get(story.rule, ()):
        assert isinstance(story.truth, SignTruth)
        phase = story.truth.phases[rule.raised]
        key = _key(story, rule.key)
        yield Side(story.name, rule.incident, key, rule.level, phase.begin, phase.end)


def _by_scene(story: Story) -> Iterator[Side]:
    if story.name.split(".")[-1] in _FLOODED:
        key = story.home.place(GRID)
        yield Side(story.name, "ce.waterlogging", key, 2, *story.span)


# --- a house with many alarms --------------------------------------------------------------------


def _fires(story: Story) -> Iterator[Side]:
    """Two detectors that alarm are a fire; what they say every six hours is known for three."""
    smoking: dict[int, int] = defaultdict(int)
    for t, _, said in story.events:
        smoking[t // MINUTE_MS * MINUTE_MS] += said["value"] == 1
    for t, count in smoking.items():
        if count >= 2:
            key = story.home.named(_SITE)
            yield Side(story.name, "ce.fire_confirmed", key, 3, t, t + 3 * HOUR_MS)


# --- orders of one class -------------------------------------------------------------------------

ORDERS, CALLERS = 5, 3
STEP_MS = 900_000
COUNTS_MS = STEP_MS + 600_000
"""So long after five orders a hot spot is over: a quarter of an hour, and the time to clear."""
REPEATED = 20.0


def _hot_spots(story: Story) -> Iterator[Side]:
    """Five orders of a class by three callers, in a day of a community; each stretch is one."""
    orders: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for t, _, said in story.events:
        if said.get("status") == "created" and "caller_hash" in said:
            key = f"{said['category'][-1]}*{said['place'][:12]}"
            orders[key].append((t, said["caller_hash"]))
    for key, found in orders.items():
        for begin, end in _stretches(sorted(found)):
            level = 2 if _is_repeated(story, begin, end) else 1
            yield Side(story.name, "ce.citizen_hotspot", key, level, begin - STEP_MS, end)


def _stretches(orders: list[tuple[int, str]]) -> list[tuple[int, int]]:
    """First and last ends of windows in which there are enough of them."""
    found: list[tuple[int, int]] = []
    first = orders[0][0] // STEP_MS * STEP_MS
    low = high = 0
    for end in range(first, orders[-1][0] + DAY_MS + STEP_MS, STEP_MS):
        while high < len(orders) and orders[high][0] < end:
            high += 1
        while low < high and orders[low][0] < end - DAY_MS:
            low += 1
        here = orders[low:high]
        if len(here) < ORDERS or len({caller for _, caller in here}) < CALLERS:
            continue
        if found and end - found[-1][1] <= COUNTS_MS:
            found[-1] = (found[-1][0], end)
        else:
            found.append((end, end))
    return found


def _is_repeated(story: Story, begin: int, end: int) -> bool:
    """Whether a fifth of the orders of a day repeat others; that counts for a day."""
    assert isinstance(story.truth, SignTruth)
    if story.rule == "hotline.repeat_rate":
        return any(
            phase.value >= REPEATED and phase.begin < end and phase.end > begin - DAY_MS
            for phase in story.truth.phases
        )
    # Orders of one class and grid; and where the rate is what turns red last.
    return story.rule in ("hotline.topic_burst", "hotline.wellbeing")


def _key(story: Story, key: str) -> str:
    places = {"grid": PLACE, "district": PLACE[:6]}
    return story.home.place(places[key]) if key in places else story.home.named(key)
