"""What the colours of official warnings mean: by issuer, event and day.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.dated import by_day
from agents.measures import STEPS
from schemas.refusal import Refused
from schemas.signals import SignalTable, SignalVersion
from schemas.signs import Sign
from schemas.warning import COLOURS, UNKNOWN_LEVEL, OfficialWarning
from streams.heads import Floats, Ints

_MARKS = 1_000
"""Of the steps of a level, so many of the smallest tell by which table it was judged: levels are
known to a thousandth."""


def is_marked(sign: Sign) -> bool:
    """Whether a sign is the highest level of the warnings in force, and tells whose table it is."""
    if sign.kind not in ("window", "sampled") or sign.topic != "external":
        return False
    aggregate = sign.aggregate
    return (
        aggregate.function == "max"
        and aggregate.model_dump(exclude_defaults=True).keys()
        == {
            "function",
            "of",
        }
        and aggregate.of == "level"
    )


class Signals:
    """The levels of colours.

    Parameters
    ----------
    tables, zone
        Of the configuration, and the city's time zone.
    """

    def __init__(self, tables: Sequence[SignalTable], zone: str) -> None:
        self._labels = [v.label for table in tables for v in table.versions]
        marks = iter(range(1, len(self._labels) + 1))
        self._tables = [
            (
                table,
                by_day(
                    [(v.valid_from, v.valid_to, (v, next(marks))) for v in table.versions], zone
                ),
            )
            for table in tables
        ]

    def level(self, event: OfficialWarning) -> float:
        """The level of a warning that tells its colour, by its issuer's table of its day.

        Raises
        ------
        Refused
            ``bad_value`` where the issuer has no such colour for what is warned of.
        """
        version, _ = self._version(event)
        known = {} if version is None else version.of(event.event)
        found = known.get(event.colour)  # type: ignore[arg-type]
        if found is not None:
            return found
        if version is None:
            hint = "is of no table of signals that holds for the issuer and day: send level"
        else:
            colours = ", ".join(colour for colour in COLOURS if colour in known) or "none"
            hint = f"is no colour of {version.label} for this event: it has {colours}"
        raise Refused("bad_value", "$.colour", hint)

    def marked(self, event: OfficialWarning) -> tuple[int, int] | None:
        """The level in steps, the last digits of which tell of the table that has it for the
        colour.
        """
        if event.level is None:
            return None
        version, mark = self._version(event)
        known = {} if version is None else version.of(event.event)
        if known.get(event.colour) != event.level:  # type: ignore[arg-type]
            mark = 0
        return round(event.level * STEPS / _MARKS) * _MARKS + mark, 0

    def read(self, values: Floats) -> tuple[Floats, Ints]:
        """Levels, NaN of those that nobody knows, and marks, from what `marked` makes."""
        known = ~np.isnan(values)
        steps = np.rint(np.where(known, values, 0) * STEPS).astype(np.int64)
        marks = steps % _MARKS
        levels = np.where(known, (steps - marks) / STEPS, np.nan)
        levels[levels <= UNKNOWN_LEVEL] = np.nan
        return levels, np.where(np.isnan(levels), 0, marks)

    def label(self, mark: int) -> str | None:
        """The table of a mark; None of a level that was taken by its word."""
        return self._labels[mark - 1] if mark else None

    def _version(self, event: OfficialWarning) -> tuple[SignalVersion | None, int]:
        """Of the first table that names the issuer, else of the one that names none; its mark."""
        named = [one for one in self._tables if any(n in event.issuer for n in one[0].issuers)]
        rest = [one for one in self._tables if not one[0].issuers]
        for _, dated in (named or rest)[:1]:
            # A warning is of the day on which it is issued.
            return dated.at(int(event.t) + 1) or (None, 0)
        return None, 0
