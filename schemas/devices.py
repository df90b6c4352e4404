"""The devices a city expects to hear, and the register that holds them.

A row says what stands where, how often it speaks, and from when to when that counts.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

from schemas.csv_lines import quoted
from schemas.fields import fields_of
from schemas.metrics import METRICS, Metrics
from schemas.relations import COLUMN, PartOf, columns_of

TRAFFIC_PERIOD_S = 60.0
"""Usual seconds between two observations; proposal."""

Kinds: TypeAlias = dict[str, dict[str, float]]
"""By topic, what a device may report and its usual seconds between two reports.

0 where reports are happenings, which nobody can expect.
"""


def kinds_of(metrics: Metrics) -> Kinds:
    """What devices may report, where these are the metrics."""
    return {
        "sensor": {code: float(metric.period_s) for code, metric in metrics.items()},
        "traffic": dict.fromkeys(fields_of("traffic")["kind"].choices, TRAFFIC_PERIOD_S),
    }


KINDS = kinds_of(METRICS)

NOISE_ZONES = ("", "0", "1", "2", "3", "4a", "4b")
"""Acoustic zones of GB 3096-2008, Table 1."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Device(NamedTuple):
    """One kind of report of one device, at one place, for one time.

    Parameters
    ----------
    device
        As events name it: ``device`` of a reading, ``source_id`` of an observation.
    topic
        ``sensor`` or ``traffic``.
    kind
        Metric of a sensor, kind of a traffic observation.
    platform
        ``source`` of its events; empty where it is not known.
    place
        Place code, normalised.
    site, site_type
        Named facility, such as an underpass; empty where it stands at none.
    period_s
        Seconds between two reports; 0 where they are happenings.
    since, until
        From when to when the row counts, int64 ms UTC; ``until`` is excluded, None is open.
    well_depth_m
        Depth of the manhole it hangs in, m.
    noise_zone
        One of `NOISE_ZONES`.
    limit
        Of what it measures, in the unit of that: a permit, a design value, a setpoint, a mark.
    medium
        What it measures that in, as its events say it; empty where they do not.
    part_of
        Relations and the paths that the columns ``part_of:NAME`` hold; see `schemas.relations`.
    """

    device: str
    topic: str
    kind: str
    platform: str
    place: str
    site: str = ""
    site_type: str = ""
    period_s: float = TRAFFIC_PERIOD_S
    since: int = 0
    until: int | None = None
    well_depth_m: float | None = None
    noise_zone: str = ""
    limit: float | None = None
    medium: str = ""
    part_of: PartOf = ()

    def counts_at(self, t: int) -> bool:
        """Whether the row counts at a time, int64 ms UTC."""
        return self.since <= t and (self.until is None or t < self.until)


COLUMNS = Device._fields[:-1]
"""Columns of the file, in their canonical order; those of relations follow, by their names."""

_by_device, _by_kind, _by_since = attrgetter("device"), attrgetter("kind"), attrgetter("since")
_order = attrgetter("device", "kind", "since")
# A kind belongs to one topic, so device and kind name what reports.
_what = attrgetter("device", "kind")


class Register:
    """Rows in their canonical order: by device, kind and ``since``.

    Parameters
    ----------
    devices
        As `schemas.register.parse_register` makes them, in any order.

    Raises
    ------
    ValueError
        Two rows of one device and kind count at the same time.

    Examples
    --------
    >>> old = Device("d1", "sensor", "rain", "", "440103001", until=1_772_402_400_000)
    >>> new = old._replace(place="440111004", since=1_772_402_400_000, until=None)
    >>> register = Register([new, old])
    >>> register.find("d1", "rain", 1_772_402_400_000).place
    '440111004'
    >>> register.find("d1", "rain", 1_772_402_399_999).place
    '440103001'
    """

    def __init__(self, devices: Iterable[Device] = ()) -> None:
        self.devices = tuple(ordered(devices))
        for _, second in overlaps(self.devices):
            raise ValueError(f"{second.device!r} has two rows of {second.kind} for the same time")

    def __len__(self) -> int:
        return len(self.devices)

    def __eq__(self, other: object) -> bool:
        return self.devices == other.devices if isinstance(other, Register) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def digest(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the canonical file."""
        digest = hashlib.sha256()
        for line in lines(self):
            digest.update(line.encode())
        return digest.hexdigest()[:12]

    @cached_property
    def _by_topic_and_kind(self) -> dict[tuple[str, str], tuple[Device, ...]]:
        found: dict[tuple[str, str], list[Device]] = {}
        for row in self.devices:
            found.setdefault((row.topic, row.kind), []).append(row)
        return {name: tuple(rows) for name, rows in found.items()}

    def of(self, topic: str, kind: str) -> tuple[Device, ...]:
        """The rows of a topic and kind, in canonical order."""
        return self._by_topic_and_kind.get((topic, kind), ())

    def find(self, device: str, kind: str, t: int) -> Device | None:
        """The row of a device and kind that counts at a time, int64 ms UTC."""
        at = bisect_right(self.devices, (device, kind, t), key=_order) - 1
        if at < 0:
            return None
        row = self.devices[at]
        return row if _what(row) == (device, kind) and row.counts_at(t) else None

    def rows(self, device: str, kind: str) -> tuple[Device, ...]:
        """The rows of a device and kind, by the times for which they count."""
        first = bisect_left(self.devices, (device, kind), key=_what)
        last = bisect_right(self.devices, (device, kind), lo=first, key=_what)
        return self.devices[first:last]

    def groups(self) -> Iterator[tuple[Device, ...]]:
        """The rows of each device and kind together, in canonical order."""
        for _, rows in groupby(self.devices, key=_what):
            yield tuple(rows)


def ordered(devices: Iterable[Device]) -> list[Device]:
    """Rows in canonical order; those of one device, kind and ``since`` stay as they came."""
    # One after the other needs no key of its own for each of millions of rows.
    rows = list(devices)
    for key in (_by_since, _by_kind, _by_device):
        rows.sort(key=key)
    return rows


def overlaps(rows: Iterable[Device]) -> Iterator[tuple[Device, Device]]:
    """Neighbours of one device and kind that count at the same time.

    Parameters
    ----------
    rows
        In canonical order.
    """
    last: Device | None = None
    for row in rows:
        if last is None or last.device != row.device or last.kind != row.kind:
            last = row
            continue
        if last.until is None or last.until > row.since:
            yield last, row
        if last.until is not None and (row.until is None or row.until > last.until):
            last = row


def lines(register: Register) -> Iterator[str]:
    """The canonical file, line by line with their ends."""
    relations = columns_of(register.devices)
    yield ",".join((*COLUMNS, *(COLUMN + name for name in relations))) + "\n"
    for row in register.devices:
        paths = dict(row.part_of)
        more = "".join(f",{quoted(paths.get(name, ''))}" for name in relations)
        yield (
            f"{quoted(row.device)},{row.topic},{row.kind},{quoted(row.platform)},{row.place},"
            f"{quoted(row.site)},{quoted(row.site_type)},{_number(row.period_s)},"
            f"{written_time(row.since) if row.since else ''},"
            f"{'' if row.until is None else written_time(row.until)},"
            f"{'' if row.well_depth_m is None else _number(row.well_depth_m)},"
            f"{row.noise_zone},{'' if row.limit is None else _number(row.limit)},"
            f"{quoted(row.medium)}{more}\n"
        )


def write(register: Register) -> str:
    """The canonical file: rows that are equal give the same bytes.

    Examples
    --------
    >>> print(write(Register([Device("d1", "sensor", "rain", "gz-meteo", "440103001")])), end="")
    device,topic,kind,platform,place,site,site_type,period_s,since,until,well_depth_m,noise_zone,limit,medium
    d1,sensor,rain,gz-meteo,440103001,,,60,,,,,,
    """
    return "".join(lines(register))


@lru_cache(maxsize=1 << 12)  # many rows count from the same day
def written_time(t: int) -> str:
    """A time, int64 ms UTC, in RFC 3339.

    >>> written_time(1_772_402_400_000), written_time(1_772_402_400_250)
    ('2026-03-01T22:00:00Z', '2026-03-01T22:00:00.250Z')
    """
    unit = "milliseconds" if t % 1000 else "seconds"
    moment = _EPOCH + timedelta(milliseconds=t)
    return moment.replace(tzinfo=None).isoformat(timespec=unit) + "Z"


@lru_cache(maxsize=1 << 12)
def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


class Change(NamedTuple):
    """A row as it was and as it is."""

    old: Device
    new: Device

    @property
    def fields(self) -> dict[str, tuple[Any, Any]]:
        """The fields that differ: what stood in them, and what stands in them."""
        pairs = [*zip(COLUMNS, self.old, self.new, strict=False)]
        before, after = dict(self.old.part_of), dict(self.new.part_of)
        for name in sorted({*before, *after}):
            pairs.append((COLUMN + name, before.get(name, ""), after.get(name, "")))
        return {name: (old, new) for name, old, new in pairs if old != new}


class Difference(NamedTuple):
    """What one register has that another has not; each in canonical order."""

    added: tuple[Device, ...]
    removed: tuple[Device, ...]
    changed: tuple[Change, ...]
    unchanged: int

    @property
    def empty(self) -> bool:
        """Whether the registers are equal."""
        return not (self.added or self.removed or self.changed)


def diff(old: Register, new: Register) -> Difference:
    """What has to be done to one register to make it the other.

    Rows of one device and kind are the same row where their ``since`` is the same; those that are
    left are paired in the order of their times.

    Examples
    --------
    >>> row = Device("d1", "sensor", "rain", "", "440103001")
    >>> moved = row._replace(place="440111004")
    >>> diff(Register([row]), Register([moved])).changed[0].fields
    {'place': ('440103001', '440111004')}
    """
    added: list[Device] = []
    removed: list[Device] = []
    changed: list[Change] = []
    unchanged = 0
    for before, after in _aligned(old, new):
        if before == after:
            unchanged += len(after)
            continue
        since = {row.since for row in before} & {row.since for row in after}
        pairs = list(zip(_within(before, since), _within(after, since), strict=True))
        left, more = _outside(before, since), _outside(after, since)
        pairs += zip(left, more, strict=False)
        removed += left[len(more) :]
        added += more[len(left) :]
        pairs.sort(key=lambda pair: pair[1].since)
        changed += [Change(*pair) for pair in pairs if pair[0] != pair[1]]
        unchanged += sum(one == other for one, other in pairs)
    return Difference(tuple(added), tuple(removed), tuple(changed), unchanged)


def merge(old: Register, new: Register) -> Register:
    """One register over another.

    All rows of a device and kind come from the new one, where it has any.

    Examples
    --------
    >>> rain = Device("d1", "sensor", "rain", "", "440103001")
    >>> wind = rain._replace(kind="wind_speed")
    >>> moved = rain._replace(place="440111004")
    >>> [row.place for row in merge(Register([rain, wind]), Register([moved])).devices]
    ['440111004', '440103001']
    """
    return Register(row for before, after in _aligned(old, new) for row in after or before)


def _aligned(
    old: Register, new: Register
) -> Iterator[tuple[tuple[Device, ...], tuple[Device, ...]]]:
    """The rows of each device and kind in both, in canonical order."""
    ours, theirs = old.groups(), new.groups()
    mine, yours = next(ours, ()), next(theirs, ())
    while mine or yours:
        if not yours or (mine and _what(mine[0]) < _what(yours[0])):
            yield mine, ()
            mine = next(ours, ())
        elif not mine or _what(yours[0]) < _what(mine[0]):
            yield (), yours
            yours = next(theirs, ())
        else:
            yield mine, yours
            mine, yours = next(ours, ()), next(theirs, ())


def _within(rows: tuple[Device, ...], since: set[int]) -> list[Device]:
    return [row for row in rows if row.since in since]


def _outside(rows: tuple[Device, ...], since: set[int]) -> list[Device]:
    return [row for row in rows if row.since not in since]
