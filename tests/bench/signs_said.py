"""Which results and alerts of a rate-limited run are measured, and what each of them waited for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

import msgspec

from agents.plan import Plan
from schemas.words import TOPIC_OF
from tests.bench.schedule import Schedule, gauges_of
from tests.bench.stages import Said

RULE = "drain.depth"
"""The sign whose thresholds a planted flood meets, at the site itself."""


class _Result(msgspec.Struct):
    vital: str
    t_end: int
    rev: int
    live: bool


class _Transition(msgspec.Struct):
    rule: str
    key: str
    transition: str
    t_raised: int
    late: bool


def signs_of(plan: Plan, kind: str) -> frozenset[str]:
    """The signs whose windows wait for the lanes of one kind of topic alone.

    A sign whose hop an incident switches waits for the lanes of that incident too.
    """
    switched = {
        change.sign
        for overlay in plan.configuration.overlays
        for change in overlay.changes
        if overlay.incident is not None and change.hop_s is not None
    }
    kinds = {folded.sign.id: {TOPIC_OF[folded.sign.topic]} for folded in plan.folded}
    for sign, _ in plan.derived:
        kinds[sign.id] = set().union(*(kinds[name] for name in sign.inputs))
    return frozenset(
        name for name, needed in kinds.items() if needed == {kind} and name not in switched
    )


def sign_latencies(
    said: Iterable[Said],
    schedule: Schedule,
    signs: frozenset[str],
    disorder_ms: int,
    measured: tuple[float, float],
) -> Iterator[tuple[float, float]]:
    """Event-to-sign and over-the-end latency of each measured result, ms.

    Measured are the first results (`rev` 0) of windows whose end was passed within a span of time.

    Parameters
    ----------
    said
        Results, with when they were there.
    signs
        Those that are measured.
    measured
        Time, ms UTC, within which the end of a window and the disorder must have been passed.
    """
    decode = msgspec.json.Decoder(_Result).decode
    closing = cache(schedule.closing_ms)
    for at, value in said:
        result = decode(value)
        if result.vital not in signs or result.rev or result.live:
            continue
        passed = result.t_end + disorder_ms
        if measured[0] <= passed and passed + 1000 <= measured[1]:
            yield at - closing(passed), at - passed


def alert_latencies(
    said: Iterable[Said],
    schedule: Schedule,
    floods: Mapping[int, int],
    disorder_ms: int,
) -> Iterator[tuple[float, float]]:
    """Event-to-alert and over-due latency of each planted flood that was raised, ms.

    Parameters
    ----------
    floods
        When each site was flooded, int64 ms UTC.
    """
    decode = msgspec.json.Decoder(_Transition).decode
    waiting = {name_of(site): (site, t) for site, t in floods.items()}
    for at, value in said:
        alert = decode(value)
        if alert.rule == RULE and alert.transition == "raised" and alert.key in waiting:
            site, t = waiting.pop(alert.key)
            sent = schedule.first_of_ms(gauges_of(site), t)
            yield at - sent, at - (alert.t_raised + disorder_ms)


def name_of(place: int) -> str:
    """The nth site with water gauges, as its readings call it."""
    return f"water_depth-{place * 4 + 2:05d}"
