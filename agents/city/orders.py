"""Work orders of the 12345 hotline, by the hour in which they are created."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.city.almanac import Almanac
from agents.city.districts import DISTRICTS, streets
from agents.city.draws import Floats, Ints, mix, uniforms
from agents.city.episodes import Episode, Plan
from agents.city.identifiers import KINDS
from agents.city.lives import (
    FORGOTTEN,
    LIVES,
    LONGEST,
    MERGED,
    OVERDUE,
    Shares,
    draw_life,
    draw_steps,
)
from agents.city.rhythm import CURVES, DAY, MINUTE_MS, START_MS, WEEK, minute_of_week
from agents.city.topics import BY_NAME, TOPICS

_ORDER, _SURGE = 0x401, 0x404
_SLOTS = 128
_ORDERS = 20.0
_HOUR_MS = 60 * MINUTE_MS
_URGENT_HOURS, _QUICK_HOURS, _OTHER_HOURS = 6, 24, 120
"""Hours until an order is due: urgent ones, cases of inspectors and questions, all others."""

_BEFORE = (1, 4, 26, 49)
"""Hours after which people call again."""

# Columns of an order's draws; those of the waits between steps come last.
(_TIME, _STREET, _TOPIC, _URGENT, _SPOT, _SYSTEM, _TEXT, _CALLER, _LIFE, _DUE, _BARE) = range(11)
(_PLANT, _PLANTED, _OVERTAKEN, _REPEAT, _EARLIER, _MERGE, _OPINION, _BY, _LATE) = range(11, 20)
_COLUMNS = 20 + LONGEST - 1

Flags = NDArray[np.bool_]


class Drafts(NamedTuple):
    """Who calls about what, and from where: one row for each order.

    ``twin`` is the number of an earlier order of the same matter, created at ``twin_ms``, or -1;
    ``repeats`` tells whether the same caller made it.
    """

    rows: Ints
    draw: Floats
    created: Ints
    street: Ints
    topic: Ints
    urgency: Ints
    number: Ints
    spot: Ints
    text: Ints
    caller: Ints
    twin: Ints
    twin_ms: Ints
    repeats: Flags


class Orders(NamedTuple):
    """Orders with all that happens to them; the columns have one row for each order.

    Attributes
    ----------
    draft
        Who calls about what.
    inspected
        Whether the case is run by the city's own inspectors instead of 12345.
    life
        Position in `agents.city.lives.LIVES`.
    steps
        Times of the steps, ms UTC, shape (orders, LONGEST).
    due
        When the order is due, ms UTC; 0 where nobody says it.
    bare
        Whether the created step has no category.
    planted, planted_number
        Kind of the identifier in the text, or -1, and its number.
    overtaken
        The step that arrives before its predecessor; 0 for none.
    opinion
        0 to 3: from worst to best.
    automatic
        Whether it was dispatched without a person.
    """

    draft: Drafts
    inspected: Flags
    life: Ints
    steps: Ints
    due: Ints
    bare: Flags
    planted: Ints
    planted_number: Ints
    overtaken: Ints
    opinion: Ints
    automatic: Flags


class Desk:
    """Takes the calls of an hour down as orders."""

    def __init__(self, seed: int, scale: float, shares: Shares, almanac: Almanac) -> None:
        self._seed = seed
        self._scale = scale
        self._shares = shares
        self._almanac = almanac
        self._slots = _SLOTS * max(1, int(-(-scale // 1)))
        self._ordinary = lru_cache(maxsize=8)(self._draw_ordinary)

    def begin(self, number: int, key: int, busy: float, columns: int) -> tuple[Ints, Floats, Ints]:
        """Slots of an hour in which something begins, their draws, and the times, ms UTC.

        Parameters
        ----------
        number
            Hour since the city began.
        key
            What is drawn.
        busy
            How many begin a minute at scale 1, at the busiest time of the week.
        columns
            How many draws each needs; the first one is its place in the slot.
        """
        rows = np.arange(60 * self._slots)
        rate = CURVES["orders"][(minute_of_week(number * 60) + rows // self._slots) % WEEK]
        first = uniforms(key, rows, 1)[0]
        rows = rows[first < rate * busy * self._scale / self._slots]
        draw = uniforms(mix(key, 1), rows, columns)
        slot_ms = MINUTE_MS / self._slots
        time = START_MS + number * _HOUR_MS + ((rows + draw[0]) * slot_ms).astype(np.int64)
        return rows, draw, time

    def serial(self, number: int, rows: Ints) -> Ints:
        """Numbers of what begins in those slots of an hour, each once a day."""
        numbers: Ints = (number * 60 + 360) % DAY * self._slots + rows
        return numbers

    def hour(self, number: int) -> Orders:
        """Orders that are created in an hour since the city began."""
        drafts = [self._with_repeats(number)]
        for plan in self._almanac.day(number * 60 // DAY):
            episode = plan.episode
            if episode.kind == "complaint_burst" and episode.start // 60 == number:
                drafts.append(self._burst(number, plan))
            elif episode.kind == "surge" and episode.start // 60 <= number <= episode.end // 60:
                drafts.append(self._surge(number, episode))
        columns = zip(*drafts, strict=True)
        return self._live(Drafts(*(np.concatenate(each, axis=-1) for each in columns)))

    def _draw_ordinary(self, number: int) -> Drafts:
        rows, draw, created = self.begin(number, mix(self._seed, _ORDER, number), _ORDERS, _COLUMNS)
        return _draft(rows, draw, created, self.serial(number, rows))

    def _with_repeats(self, number: int) -> Drafts:
        """Ordinary orders, some of them by people who called before."""
        draft = self._ordinary(number)
        again = draft.draw[_REPEAT] < self._shares.repeated
        which = (draft.draw[_EARLIER] * len(_BEFORE)).astype(np.int64)
        columns = {
            name: getattr(draft, name).copy()
            for name in ("street", "topic", "spot", "caller", "twin", "twin_ms", "repeats")
        }
        for position, hours in enumerate(_BEFORE):
            rows = np.nonzero(again & (which == position))[0]
            if number < hours or not len(rows):
                continue
            before = self._ordinary(number - hours)
            first = np.nonzero(before.draw[_REPEAT] >= self._shares.repeated)[0]
            if not len(first):
                continue
            # What the draw leaves after its share is uniform again.
            rest = draft.draw[_EARLIER, rows] * len(_BEFORE) % 1.0
            picked = first[(rest * len(first)).astype(np.int64)]
            for name in ("street", "topic", "spot", "caller"):
                columns[name][rows] = getattr(before, name)[picked]
            columns["twin"][rows] = before.number[picked]
            columns["twin_ms"][rows] = before.created[picked]
            columns["repeats"][rows] = True
        return draft._replace(**columns)

    def _burst(self, number: int, plan: Plan) -> Drafts:
        """Urgent orders about one matter from one street."""
        episode = plan.episode
        rows = np.arange(int(episode.peak)) + ((plan.number + 1) << 32)
        draw = uniforms(mix(self._seed, _ORDER, number, 2), rows, _COLUMNS)
        span = episode.end_ms - episode.start_ms
        created = episode.start_ms + (draw[_TIME] * span).astype(np.int64)
        # Ordinary orders never reach these numbers; two days of the city meet on one date.
        first = 90_000_000 + number // 24 % 2 * 500_000 + plan.number * 1000
        serial = first + np.arange(len(rows))
        draft = _draft(rows, draw, created, serial)
        street = next(n for n, one in enumerate(streets()) if one.code == episode.place)
        earliest = int(np.argmin(created))
        later = np.arange(len(rows)) != earliest
        return draft._replace(
            street=np.full(len(rows), street),
            topic=np.full(len(rows), BY_NAME[episode.signal]),
            urgency=np.where(draw[_URGENT] < 0.05, 2, 1),
            twin=np.where(later, serial[earliest], -1),
            twin_ms=np.where(later, created[earliest], 0),
        )

    def _surge(self, number: int, episode: Episode) -> Drafts:
        """What a surge adds to the ordinary orders of its district."""
        inside = np.array(
            [n for n, one in enumerate(streets()) if DISTRICTS[one.district] == episode.place]
        )
        more = _ORDERS * (episode.peak - 1.0) * len(inside) / len(streets())
        rows, draw, created = self.begin(number, mix(self._seed, _SURGE, number), more, _COLUMNS)
        here = (created >= episode.start_ms) & (created < episode.end_ms)
        rows, draw, created = rows[here], draw[:, here], created[here]
        # Above all ordinary orders of a day, and below those of bursts.
        serial = 70_000_000 + self.serial(number, rows)
        street = inside[(draw[_STREET] * len(inside)).astype(np.int64)]
        return _draft(rows + (1 << 40), draw, created, serial)._replace(street=street)

    def _live(self, draft: Drafts) -> Orders:
        """Decide what becomes of each order."""
        shares, draw, created, urgency = self._shares, draft.draw, draft.created, draft.urgency
        inspected = np.isin(draft.topic, _INSPECTED) & (draw[_SYSTEM] < 0.5)
        quick = inspected | np.isin(draft.topic, _QUESTIONS)
        hours = np.where(quick, _QUICK_HOURS, _OTHER_HOURS)
        hours = np.where(urgency > 0, _URGENT_HOURS, hours)
        due = created + hours * _HOUR_MS
        life = draw_life(draw[_LIFE])
        life = np.where(inspected & (life == FORGOTTEN), OVERDUE, life)
        life = np.where((hours == _OTHER_HOURS) & (life == OVERDUE), FORGOTTEN, life)
        life = np.where((draft.twin >= 0) & (draw[_MERGE] < shares.merged), MERGED, life)
        steps = draw_steps(created, life, urgency, draw[_COLUMNS - LONGEST + 1 :])
        late, last = life == OVERDUE, len(LIVES[OVERDUE].steps) - 1
        after = ((1 + 3 * draw[_LATE]) * _HOUR_MS).astype(np.int64)
        steps[:, last] = np.where(late, due + after, steps[:, last])
        unsaid = (draw[_DUE] < shares.without_due) & ~late & (life != FORGOTTEN)
        bare = (draw[_BARE] < shares.uncategorised) & ~inspected
        plants = draw[_PLANT] < shares.identifiers
        planted = (draw[_PLANTED] * len(KINDS)).astype(np.int64)
        overtaken = draw[_OVERTAKEN] < shares.overtaken
        return Orders(
            draft,
            inspected,
            life,
            steps,
            np.where(unsaid, 0, due),
            bare,
            np.where(plants, planted, -1),
            (draw[_PLANTED] * len(KINDS) % 1.0 * 10_000_000).astype(np.int64),
            np.where(overtaken, 1 + (draw[_MERGE] < 0.5), 0),
            np.searchsorted((0.005, 0.01, 0.2), draw[_OPINION], side="right"),
            draw[_BY] < 0.98,
        )


def _draft(rows: Ints, draw: Floats, created: Ints, number: Ints) -> Drafts:
    """Orders that are nobody's second call, from anywhere, about anything."""
    return Drafts(
        rows,
        draw,
        created,
        (draw[_STREET] * len(streets())).astype(np.int64),
        (draw[_TOPIC] * len(TOPICS)).astype(np.int64),
        np.where(draw[_URGENT] < 0.0002, 2, np.where(draw[_URGENT] < 0.0017, 1, 0)),
        number,
        (draw[_SPOT] * 200).astype(np.int64),
        (draw[_TEXT] * 2).astype(np.int64),
        (draw[_CALLER] * 99_999_999).astype(np.int64),
        np.full(len(rows), -1),
        np.zeros(len(rows), np.int64),
        np.zeros(len(rows), np.bool_),
    )


_INSPECTED = [number for number, topic in enumerate(TOPICS) if topic.office == "chengguan"]
_QUESTIONS = [number for number, topic in enumerate(TOPICS) if topic.kind == "consult"]
