"""The simulated city: everything that arrives in a minute, as a function of (seed, minute)."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from itertools import repeat
from operator import attrgetter
from typing import Any

import numpy as np

from agents.city.almanac import Almanac
from agents.city.bulletins import EXTERNAL, Bulletins
from agents.city.devices import SENSOR, TRAFFIC, Table, build_fleet
from agents.city.disorder import (
    DAMAGE,
    LOOK_BACK,
    MALFORMED,
    PLANTED,
    Arrivals,
    Disorder,
    arrange,
    damage,
    kinds_of,
)
from agents.city.draws import Floats, Ints, mix, uniforms
from agents.city.emission import Emission
from agents.city.episodes import Episode
from agents.city.hotline import HOTLINE, Hotline
from agents.city.lives import Shares
from agents.city.measures import Measures
from agents.city.register import never_installed, unregistered
from agents.city.rhythm import DAY, MINUTE_MS, START_MS, time_of

_FATE = 0x601
MAX_SCALE = 50.0


class City:
    """A seeded city of Guangzhou's shape.

    Parameters
    ----------
    seed
        Any integer; the same seed gives the same bytes.
    scale
        Size of the city, above 0 to 50; 1 is about 1,600 events a simulated minute.
    disorder
        Shares of the events that do not arrive as they should.
    shares
        Shares of the orders that are not as a reader would like them.
    episodes
        How many episodes happen, chosen from all that are planned for the run so that the kinds
        take turns, and none after it; None for all that are planned, 17 a day, without end.
    days, minutes
        Length of the run from which the ``episodes`` are chosen: one of the two goes with them.

    Raises
    ------
    ValueError
        Where the scale is out of its range, the length is missing or in excess, or fewer
        episodes are planned for the run.

    Examples
    --------
    >>> city = City(seed=1, scale=0.1)
    >>> early = city.minute(3)
    >>> early == City(seed=1, scale=0.1).minute(3)
    True
    >>> early[0].topic
    'city.sensor.v1'
    """

    def __init__(
        self,
        seed: int,
        scale: float = 1.0,
        disorder: Disorder | None = None,
        *,
        shares: Shares | None = None,
        episodes: int | None = None,
        days: int | None = None,
        minutes: int | None = None,
    ) -> None:
        if not 0.0 < scale <= MAX_SCALE:
            raise ValueError(f"scale is {scale}: give a number above 0, at most {MAX_SCALE:g}")
        if (days is not None) + (minutes is not None) != (episodes is not None):
            raise ValueError("episodes and the length of the run go together: give days or minutes")
        if episodes is not None and episodes < 0:
            raise ValueError(f"episodes is {episodes}: give 0 or more")
        length = days * DAY if days is not None else DAY if minutes is None else minutes
        if length < 1:
            raise ValueError(f"the run has {length} minutes: give 1 minute or day at least")
        self.seed = seed
        self.scale = scale
        self.disorder = disorder or Disorder()
        self.shares = shares or Shares()
        self._fleet = build_fleet(scale)
        self._almanac = Almanac(seed, self._fleet, episodes, length)
        self._measures = Measures(seed, self._fleet, self._almanac)
        self._hotline = Hotline(seed, scale, self.disorder, self.shares, self._almanac)
        self._bulletins = Bulletins(seed, scale, self._fleet, self._almanac)
        self._traffic = self._fleet.table("segment_flow").rows.start
        self._starts = np.array([table.rows.stop for table in self._fleet.tables])
        self._values = lru_cache(maxsize=LOOK_BACK + 2)(self._measures.at)
        self._counts = lru_cache(maxsize=LOOK_BACK + 2)(self._count_vehicles)
        self._spoken = lru_cache(maxsize=LOOK_BACK + 2)(self._speak)

    def minute(self, k: int) -> list[Emission]:
        """Everything that arrives in city minute ``k``, in order of arrival.

        Parameters
        ----------
        k
            Minutes since :data:`START_MS`, 0 or more.

        Raises
        ------
        ValueError
            Where ``k`` is negative.
        """
        if k < 0:
            raise ValueError(f"minute {k} is before the city began: give 0 or more")
        found: list[Emission] = []
        start, end = time_of(k), time_of(k + 1)
        for m in range(max(0, k - LOOK_BACK), k + 1):
            rows, arrivals = self._spoken(m)
            found += self._write(m, rows, arrivals, arrivals.between(start, end))
        found += self._hotline.between(start, end)
        for day in range(max(0, k // DAY - 1), k // DAY + 1):
            found += [one for one in self._bulletins.day(day) if start <= one.arrival_ms < end]
        found.sort(key=attrgetter("arrival_ms"))
        return found

    def episodes(self, until_k: int) -> list[Episode]:
        """Planted episodes that begin before city minute ``until_k``, in order of their start."""
        return self._almanac.until(until_k)

    def identifiers(self, until_k: int) -> list[str]:
        """Fictitious identifiers in the texts of orders created before city minute ``until_k``.

        They are exactly as written, each once, sorted; also those of the hour's rest, and of
        orders whose creation arrives damaged or later.
        """
        return self._hotline.planted((until_k + 59) // 60)

    def truth(self, until_k: int) -> dict[str, Any]:
        """Ground truth of the minutes 0 to ``until_k`` - 1: what was planted and how often.

        Returns
        -------
        plain values for JSON: ``seed``, ``scale``, ``start_ms``, ``until_ms``, ``disorder``
        (the stated shares), ``events`` (records by topic), ``planted`` (out of order, late,
        very late, duplicate by topic; ``malformed`` by topic and kind of damage), ``orders``
        (stated shares, and what `Hotline.told` counts), ``register`` (devices that never speak,
        and those that no register knows), ``episodes``.
        """
        end = time_of(until_k)
        topics = {SENSOR: 0, TRAFFIC: 0, HOTLINE: 0, EXTERNAL: 0}
        planted = {
            topic: dict.fromkeys(PLANTED.values(), 0) for topic in (SENSOR, TRAFFIC, HOTLINE)
        }
        malformed = {topic: dict.fromkeys(DAMAGE[: kinds_of(topic)], 0) for topic in planted}

        def count(topic: str, fault: Ints, kind: Ints) -> None:
            topics[topic] += len(fault)
            for label, name in PLANTED.items():
                planted[topic][name] += int(np.count_nonzero(fault == label))
            for number, name in enumerate(malformed[topic]):
                hit = (fault == MALFORMED) & (kind == number)
                malformed[topic][name] += int(np.count_nonzero(hit))

        for m in range(until_k):
            rows, arrivals = self._speak(m)
            here = arrivals.between(START_MS, end)
            sensor = rows[arrivals.item[here]] < self._traffic
            for topic, mask in ((SENSOR, sensor), (TRAFFIC, ~sensor)):
                count(topic, arrivals.fault[here][mask], arrivals.kind[here][mask])
        for number in range((until_k + 59) // 60):
            arrivals = self._hotline.hour(number).arrivals
            here = arrivals.between(START_MS, end)
            count(HOTLINE, arrivals.fault[here], arrivals.kind[here])
        for day in range((until_k + DAY - 1) // DAY):
            for one in self._bulletins.day(day):
                topics[one.topic] += one.arrival_ms < end
        return {
            "seed": self.seed,
            "scale": self.scale,
            "start_ms": START_MS,
            "until_ms": end,
            "disorder": asdict(self.disorder),
            "events": topics,
            "planted": {
                topic: {**planted[topic], "malformed": malformed[topic]} for topic in planted
            },
            "orders": {"shares": asdict(self.shares), **self._hotline.told(end)},
            "register": {
                "never_speaking": [row.device for row in never_installed(self._fleet)],
                "unregistered": unregistered(self._fleet),
            },
            "episodes": [asdict(episode) for episode in self.episodes(until_k)],
        }

    def _speak(self, m: int) -> tuple[Ints, Arrivals]:
        """Rows of the fleet that speak in minute ``m``, and how what they say arrives."""
        rows = np.nonzero(m % self._fleet.period == self._fleet.turn)[0]
        dead = [plan.rows for plan in self._almanac.active(m, "sensor_death")]
        if dead:
            rows = rows[~np.isin(rows, np.concatenate(dead))]
        fate = uniforms(mix(self.seed, _FATE, m), rows, 2)
        kinds = np.where(rows < self._traffic, kinds_of(SENSOR), kinds_of(TRAFFIC))
        t = time_of(m) + self._fleet.phase[rows]
        return rows, arrange(t, self.disorder.classify(fate[0], delayed=True), fate[1], kinds)

    def _count_vehicles(self, m: int) -> Ints:
        return self._measures.vehicles(m, self._fleet.table("segment_flow"))

    def _write(self, m: int, rows: Ints, arrivals: Arrivals, here: slice) -> list[Emission]:
        """Write the events of minute ``m`` that arrive at the positions ``here``."""
        if here.start == here.stop:
            return []
        order = np.argsort(arrivals.item[here], kind="stable")
        row = rows[arrivals.item[here][order]]
        time, fault = arrivals.time[here][order], arrivals.fault[here][order]
        kind = arrivals.kind[here][order]
        value, t = self._values(m)[row], time_of(m) + self._fleet.phase[row]
        found: list[Emission] = []
        low = 0
        for table, high in zip(
            self._fleet.tables, np.searchsorted(row, self._starts).tolist(), strict=True
        ):
            if high > low:
                piece = slice(low, high)
                local = row[piece] - table.rows.start
                events = self._events(m, table, local, value[piece], t[piece])
                keys = [table.keys[i] for i in local.tolist()]
                found += map(Emission, repeat(table.topic), time[piece].tolist(), keys, events)
            low = high
        for position in np.nonzero(fault == MALFORMED)[0].tolist():
            whole = found[position]
            found[position] = whole._replace(value=damage(whole.value, int(kind[position])))
        return found

    def _events(self, m: int, table: Table, local: Ints, value: Floats, t: Ints) -> list[bytes]:
        heads, tails, middle = table.heads, table.tails, table.middle
        rows, times = local.tolist(), t.tolist()
        if table.name == "segment_flow":
            passed = self._counts(m)[local].tolist()
            return [
                f'{heads[i]}{at - MINUTE_MS},"t_end":{at},"intensity":{cars},"speed_kmh":{speed},'
                f'"n":{cars // 3 + 4}{tails[i]}'.encode()
                for i, at, speed, cars in zip(rows, times, value.tolist(), passed, strict=True)
            ]
        if table.name == "intersection":
            seen = self._measures.waiting(m, table)[local].tolist()
            delay = np.round(8.0 + 110.0 * value / table.size[local], 1).tolist()
            return [
                f'{heads[i]}{at},"queue_m":{queue},"delay_s":{wait},"n":{cars}{tails[i]}'.encode()
                for i, at, queue, wait, cars in zip(
                    rows, times, value.tolist(), delay, seen, strict=True
                )
            ]
        if table.name == "parking":
            taken = value.astype(np.int64).tolist()
            return [
                f'{heads[i]}{at},"occupied":{places}{tails[i]}'.encode()
                for i, at, places in zip(rows, times, taken, strict=True)
            ]
        return [
            f"{heads[i]}{reading}{middle}{at}{tails[i]}".encode()
            for i, at, reading in zip(rows, times, value.tolist(), strict=True)
        ]
