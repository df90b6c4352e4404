"""What is known of one alert: its transitions, its sign around them, and how to replay it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, pairwise
from pathlib import Path
from shutil import which
from statistics import median_low
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import orjson

from agents.commands.expectations import kept
from agents.commands.folder import opened, trimmed
from agents.commands.wording import moment
from agents.outputs import ALERT_LOG, CONTROL, DEVICE_VITALS, TICKS, VITALS_LOG
from schemas.device_vital import rows_of_key
from schemas.documents import ConfigurationError
from streams.records import Lane

if TYPE_CHECKING:
    from agents.commands.folder import About
    from agents.commands.sources import Source
    from streams.log_store import LogStore
    from streams.log_types import Latest

ON_KAFKA = (
    "the log is on Kafka, and what its topics still hold can not be replayed from here: an engine "
    "on a data folder gives the same bytes of the same records"
)
OF_THE_ENGINE = "of the engine itself, in processing time: no log tells of it"

_AROUND = 10
"""Windows shown before and after the episode, at least."""


@dataclass(frozen=True)
class Story:
    """One alert.

    Parameters
    ----------
    raw, alert
        As it stands: its bytes, and what they say.
    transitions
        The bytes of each, as they stand in the alert log; none where that is no longer kept.
    series
        Results of the sign at the alert's key, from before onset to after the end, by time.
    replay, note
        The command that gives the transitions again, or none and why.
    """

    raw: bytes
    alert: dict[str, Any]
    transitions: list[bytes]
    series: list[dict[str, Any]]
    about: About
    replay: str | None
    note: str

    def as_json(self) -> bytes:
        """One object in one line."""
        why = self.alert["why"]
        names = ("threshold", "threshold_source", "standing", "model", "expected", "band")
        kept = ("t_end", "value", "reason", "level", "rev")
        return orjson.dumps(
            {
                "alert": orjson.Fragment(self.raw),
                "transitions": [orjson.Fragment(raw) for raw in self.transitions],
                "window": {"t_start": why["t_start"], "t_end": why["t_end"]},
                "n": why["n"],
                **{name: why[name] for name in names},
                "series": [{name: row[name] for name in kept} for row in self.series],
                "replay": self.replay,
                "replay_note": self.note,
            }
        )


def tell(source: Source, latest: Latest, folder: Path | None) -> Story:
    """Gather what a source knows of an alert.

    Parameters
    ----------
    folder
        The data folder that the source is; none for a Kafka.
    """
    alert = orjson.loads(latest.value)
    key = f"{alert['rule']}|{alert['key_level']}|{alert['key']}".encode()
    transitions = list(source.keyed(ALERT_LOG, latest.key))
    rows = list(map(orjson.loads, source.keyed(VITALS_LOG, key)))
    if alert["key_level"] == "device":
        records = chain.from_iterable(
            source.keyed(DEVICE_VITALS, f"{topic}/{partition}".encode())
            for topic, partitions in source.about.partitions.items()
            for partition in range(partitions)
        )
        read = (rows_of_key(orjson.loads(record), alert["key"]) for record in records)
        rows += (row for row in chain.from_iterable(read) if row["vital"] == alert["rule"])
    rows.sort(key=lambda row: (row["t_end"], row["rev"]))
    about = source.about
    if alert["kind"] == "live":
        replay, note = None, OF_THE_ENGINE
    else:
        replay, note = (None, ON_KAFKA) if folder is None else _replay(folder, alert, about)
    return Story(latest.value, alert, transitions, around(alert, rows), about, replay, note)


def around(alert: dict[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results from some windows before the episode to some after it; to the last if it stands.

    Examples
    --------
    >>> rows = [{"t_end": t} for t in range(0, 6000, 60)]
    >>> alert = {"t_onset": 1200, "t_cleared": 1500}
    >>> shown = [row["t_end"] for row in around(alert, rows)]
    >>> shown[0], shown[-1]
    (600, 2100)
    """
    times = sorted({row["t_end"] for row in rows})
    if not times:
        return []
    hop = median_low([b - a for a, b in pairwise(times)]) if len(times) > 1 else 0
    begin, end = alert["t_onset"], alert["t_cleared"] or times[-1]
    margin = max(_AROUND * hop, (end - begin) // 4)
    last = end + margin if alert["t_cleared"] else times[-1]
    return [row for row in rows if begin - margin <= row["t_end"] <= last]


def gone(store: LogStore, topics: Iterable[str], folder: Path, zone: str) -> str | None:
    """Why the log of a folder can not give the same bytes again; None where it is whole."""
    # Where people decided something, that is told by the alert log alone.
    decided = store.end_offsets().get(Lane(CONTROL, 0), 0) > 0
    lanes = trimmed(store, (*topics, TICKS, *((ALERT_LOG,) if decided else ())))
    if not lanes:
        return None
    first = max(lanes, key=lambda lane: lane.since or 0)
    since = "" if first.since is None else f" from {moment(first.since, zone)} on"
    return (
        f"the log of {folder} is kept{since} ({first.lane} begins at offset {first.first}): what "
        "came before decides too, so the same bytes can not be promised. To keep more, start the "
        "run with more --retain, such as --retain 24h --retain 20GB"
    )


def judged_by_other(judged_by: str, found: str, config: str | None) -> str:
    """Why a configuration can not give the same bytes: the alert was judged by another."""
    had = "without --config" if config is None else f"with --config {config}"
    return (
        f"the alert was judged by configuration {judged_by}, and this one is {found}. The run was "
        f"started {had}; that configuration, the build or a CITYVITALS__… setting of the "
        "environment has changed since: bring back what it was"
    )


def _program() -> str:
    """The command as it can be pasted: its path where the shell does not find it by name."""
    name, given = "cityvitals", Path(sys.argv[0]).absolute()
    return str(given) if given.name == name and which(name) is None else name


def _replay(folder: Path, alert: dict[str, Any], about: About) -> tuple[str | None, str]:
    from schemas.loading import load

    judged_by, config = alert["why"]["config"], about.config
    try:
        with opened(folder) as store:
            fault = gone(store, about.kinds, folder, about.zone)
            found = kept(store, load(None if config is None else Path(config))).label
    except ConfigurationError as error:
        return None, f"the configuration of the run can not be read any more: {error}"
    if fault is not None:
        return None, fault
    if found != judged_by:
        return None, judged_by_other(judged_by, found, config)
    words = [_program(), "replay", str(folder.absolute()), "--alert", alert["alert_id"]]
    words += ["--config", config] if config else []
    if not alert["late"]:
        # What was raised late was said long after its window.
        until = datetime.fromtimestamp(alert["t_update"] / 1000, ZoneInfo(about.zone))
        words += ["--until", until.isoformat()]
    return shlex.join([*words, "--json"]), "the same bytes as in city.alert-log.v1"
