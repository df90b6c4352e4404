"""Rare events: traffic incidents, and the official warnings of storms.

They are few and always arrive in order, once and whole.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from agents.city.almanac import Almanac
from agents.city.devices import TRAFFIC, Fleet
from agents.city.districts import district_names
from agents.city.draws import mix, uniforms
from agents.city.emission import Emission
from agents.city.episodes import Episode
from agents.city.rhythm import DAY, MINUTE_MS, local_time, rhythm, time_of

EXTERNAL = "city.external.v1"
_INCIDENT = 0x501
_SLOT = 2
_PER_HOUR = 3.0
_TRANSIT_MS = 900
_CLASSES = ("crash", "breakdown", "crash", "roadworks")


class Bulletins:
    """Incidents and warnings that begin on a day, with their ends, in order of arrival."""

    def __init__(self, seed: int, scale: float, fleet: Fleet, almanac: Almanac) -> None:
        self._seed = seed
        self._scale = scale
        self._fleet = fleet
        self._almanac = almanac
        self.day = lru_cache(maxsize=8)(self._day)

    def _day(self, day: int) -> tuple[Emission, ...]:
        found: list[Emission] = []
        spread = max(1, int(-(-self._scale // 1)))
        rows = np.arange(DAY // _SLOT * spread)
        table = self._fleet.table("segment_flow")
        chance = _PER_HOUR / 60 * _SLOT * self._scale / spread
        for row, draw in zip(
            rows.tolist(),
            uniforms(mix(self._seed, _INCIDENT, day), rows, 6).T.tolist(),
            strict=True,
        ):
            k = day * DAY + row // spread * _SLOT
            if draw[0] < chance * (0.1 + 0.9 * rhythm("rush", k)):
                begin = time_of(k) + int(draw[1] * _SLOT * MINUTE_MS)
                end = begin + int((15 + 45 * draw[2]) * MINUTE_MS)
                kind = _CLASSES[int(draw[4] * len(_CLASSES))]
                found += self._incident(
                    row, int(draw[3] * len(table)), (begin, end), kind, 1 + int(2 * draw[5])
                )
        storm = None
        for plan in self._almanac.day(day):
            episode = plan.episode
            if episode.kind == "congestion":
                begin = episode.start_ms + 2 * MINUTE_MS
                segment = int(plan.rows[0]) - table.rows.start
                found += self._incident(
                    90_000 + plan.number, segment, (begin, episode.end_ms), "crash", 3
                )
            elif episode.kind == "storm" and storm is None:
                storm = episode
                found += _warn(episode)
        return tuple(sorted(found, key=lambda emission: emission.arrival_ms))

    def _incident(
        self, number: int, segment: int, span: tuple[int, int], kind: str, severity: int
    ) -> list[Emission]:
        table = self._fleet.table("segment_flow")
        name = f"inc-{local_time(span[0]):%Y%m%d}-{number:06d}"
        return [
            Emission(
                TRAFFIC,
                t + _TRANSIT_MS,
                table.keys[segment],
                f'{{"kind":"incident","source_id":"{table.ids[segment]}","event_id":"{name}",'
                f'"cls":"{kind}","severity":{severity},"status":"{status}","t":{t}'
                f"{table.tails[segment]}".encode(),
            )
            for t, status in zip(span, ("open", "cleared"), strict=True)
        ]


def _warn(storm: Episode) -> list[Emission]:
    name = f"rain-{local_time(storm.start_ms):%Y%m%d}-{storm.place}"
    district = district_names()[storm.place]
    return [
        Emission(
            EXTERNAL,
            t + _TRANSIT_MS,
            f"{name}-{status}".encode(),
            f'{{"kind":"warning","id":"{name}-{status}","source":"gz-meteo",'
            f'"warning_id":"{name}","issuer":"gz-meteo","event":"rain","level":3,'
            f'"place":"{storm.place}","t":{t},"t_expires":{storm.end_ms},"status":"{status}",'
            f'"title":"{district}暴雨橙色预警{title}"}}'.encode(),
        )
        for t, status, title in (
            (storm.start_ms + 5 * MINUTE_MS, "active", "生效"),
            (storm.end_ms, "cancelled", "解除"),
        )
    ]
