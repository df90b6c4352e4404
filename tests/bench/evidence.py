"""Which alerts count as finding a planted episode, and which ones it merely explains.

Strict on purpose.  An alert finds an episode only by a sign that measures it, at a key that lies in
the episode's place (or is its device, or holds it, up to the district), and only if its onset lies
within the episode or, after it, within the memory of the sign: its window and a hop.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from agents.city import MINUTE_MS, Episode
from agents.city.devices import Fleet, Stand
from agents.city.register import never_installed
from agents.plan import Plan
from schemas.places import LEVELS as PLACE_LEVELS
from schemas.words import BY, split_level

NEVER = "never_installed"
"""What explains a rate of devices online that is low for ever: devices of the register alone."""

_DAY_MS = 1440 * MINUTE_MS
_DISTRICT = len("440111")


class Evidence(NamedTuple):
    """Signs, as alerts name them: those that show an episode, and those that follow from it."""

    shows: tuple[str, ...]
    follows: tuple[str, ...] = ()


_INDICES = ("city.health_index", "city.domain_index")
_AIR = ("air.pm25_1h", "air.pm10_1h", "air.aqi")
_AIR_DAY = ("air.pm25_24h", "air.aqi_24h", "air.aqi_day", *_INDICES)
_RAINS = ("meteo.rain_3h", "meteo.rain_6h", "meteo.rain_12h", "meteo.rain_24h")
_OF_STORMS = (
    "ce.storm_mode",
    "ce.waterlogging",
    "ce.flooded_road_blocked",
    "ce.gridlock",
    "ce.citizen_hotspot",
)
_ROADS = ("traffic.tpi", "traffic.speed_ratio", "traffic.queue_ratio")

EVIDENCE = {
    # A storm slows the traffic of its district; its water is an episode of its own.
    "storm": Evidence(
        ("meteo.rain_1h",),
        ("meteo.official_warning", *_RAINS, *_ROADS, *_INDICES, *_OF_STORMS),
    ),
    "waterlogging": Evidence(
        ("drain.depth", "drain.points", "drain.rise_rate", "drain.manhole_fill"),
        ("ce.waterlogging", "ce.flooded_road_blocked", "ce.citizen_hotspot", *_INDICES),
    ),
    "congestion": Evidence(_ROADS, ("traffic.incidents", "ce.gridlock", *_INDICES)),
    "pollution": Evidence(_AIR, _AIR_DAY),
    "complaint_burst": Evidence(
        ("hotline.topic_burst", "hotline.topic_orders", "hotline.urgent"),
        (
            "hotline.inflow",
            "hotline.inflow_ratio",
            "hotline.repeat_rate",
            *_INDICES,
            "ce.citizen_hotspot",
        ),
    ),
    "surge": Evidence(
        (
            "hotline.inflow",
            "hotline.inflow_ratio",
            "hotline.topic_orders",
            "hotline.topic_burst",
        ),
        ("hotline.repeat_rate", *_INDICES, "ce.citizen_hotspot"),
    ),
    "detour": Evidence(("traffic.flow",)),
    "sensor_death": Evidence(("iot.online_rate",), _INDICES),
    "drift pm25": Evidence(_AIR, _AIR_DAY),
    "drift air_temperature": Evidence(("meteo.temp_max",)),
    "stuck pm25": Evidence(_AIR, _AIR_DAY),
    "stuck air_temperature": Evidence(("meteo.temp_max",)),
    "stuck laeq": Evidence(("noise.leq_1h", "noise.day_excess", "noise.night_excess")),
    "flapping water_depth": Evidence(
        ("drain.depth",),
        ("drain.rise_rate", "drain.points", "ce.waterlogging", "ce.sensor_fault", *_INDICES),
    ),
    "flapping laeq": Evidence(("noise.leq_1h", "noise.day_excess")),
}
"""By kind of episode; those of devices that measure different things by the metric too."""

_BY_DEVICE = ("detour", "sensor_death", "drift", "stuck", "flapping")


class Where(NamedTuple):
    """What an alert is about, and since when: the end of its first window, int64 ms UTC."""

    rule: str
    key_level: str
    key: str
    place: str
    onset: int


def evidence_of(episode: Episode) -> Evidence:
    """The entry of the table for an episode."""
    return EVIDENCE.get(episode.kind) or EVIDENCE[f"{episode.kind} {episode.signal}"]


class Matcher:
    """Says what an alert is to the episodes of a run.

    Parameters
    ----------
    plan
        Its signs tell how long each remembers.
    fleet
        Where the devices stand, and for what platform they speak.
    episodes
        All that were planted.
    """

    def __init__(self, plan: Plan, fleet: Fleet, episodes: Iterable[Episode]) -> None:
        self._signs = {sign.id: sign for sign in plan.configuration.signs}
        self._incidents = {one.id: one for one in plan.configuration.incidents}
        self._stands = {
            device: stand
            for table in fleet.tables
            for device, stand in zip(table.ids, table.stands, strict=True)
        }
        self._absent = [Stand(row.platform, row.place) for row in never_installed(fleet)]
        self._episodes = [(episode, evidence_of(episode)) for episode in episodes]

    def explain(self, alert: Where) -> tuple[list[Episode], list[Episode]]:
        """The episodes that an alert finds, and those that explain it without being found by it."""
        found: list[Episode] = []
        explained: list[Episode] = []
        for episode, evidence in self._episodes:
            shows = alert.rule in evidence.shows
            if not shows and alert.rule not in evidence.follows:
                continue
            if not episode.start_ms < alert.onset <= episode.end_ms + self.memory(alert.rule):
                continue
            distance = self._distance(alert, episode)
            if distance is not None:
                (found if shows and distance == 0 else explained).append(episode)
        return found, explained

    def explained_by_absent(self, alert: Where) -> bool:
        """Whether devices that never speak are among those whose rate it is."""
        return alert.rule == "iot.online_rate" and any(
            self._holds(alert, stand) for stand in self._absent
        )

    def _distance(self, alert: Where, episode: Episode) -> int | None:
        """0 where the key points at the episode, 1 where it holds it far off, else None."""
        dimension, level = split_level(alert.key_level)
        if dimension == "department" or (
            dimension == "category"
            and episode.kind == "complaint_burst"
            and alert.key.partition(BY)[0] != episode.signal
        ):
            return None
        far = 0 if len(alert.place) >= _DISTRICT else 1
        if episode.kind not in _BY_DEVICE:
            if alert.place.startswith(episode.place):
                return 0
            return far if episode.place.startswith(alert.place) else None
        if level not in PLACE_LEVELS:
            return 0 if alert.key in self.names(episode) else None
        if not any(self._holds(alert, self._stands[device]) for device in episode.devices):
            return None
        return 0 if dimension == "platform" else far

    def memory(self, sign: str) -> int:
        """How long a sign or incident still shows what is over, int64 ms: its window and a hop."""
        if sign in self._incidents:
            # The rain of an hour counts on within the span.
            return round(self._incidents[sign].within_s * 1000) + _DAY_MS // 24
        window = self._signs[sign].window
        if window.size_s is None or window.hop_s is None:
            return _DAY_MS
        return round((window.size_s + window.hop_s) * 1000)

    def names(self, episode: Episode) -> set[str]:
        """The devices of an episode, and their sites."""
        sites = {self._stands[device].site for device in episode.devices}
        return {*episode.devices, *sites} - {""}

    def watched(self, episode: Episode) -> set[str]:
        """Keys of the results that tell whether an episode could have been found."""
        finest = self.names(episode) if episode.kind in _BY_DEVICE else set()
        places = {"district": episode.place[:_DISTRICT]}
        found = set()
        for rule in evidence_of(episode).shows:
            for key_level in self._signs[rule].keys:
                dimension, level = split_level(key_level)
                place = places.get(level)
                if level not in PLACE_LEVELS:
                    found |= {f"{rule}|{key_level}|{name}" for name in finest}
                elif place is not None and dimension is None:
                    found.add(f"{rule}|{key_level}|{place}")
                elif place is not None and dimension == "category":
                    found.add(f"{rule}|{key_level}|{episode.signal}{BY}{place}")
        return found

    @staticmethod
    def _holds(alert: Where, stand: Stand) -> bool:
        dimension, _ = split_level(alert.key_level)
        platform = alert.key.partition(BY)[0]
        ours = dimension != "platform" or platform == stand.platform
        return ours and stand.place.startswith(alert.place)
