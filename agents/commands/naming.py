"""Which alert a person means: by the beginning of its id, or the worst that stands."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import orjson

from agents.commands.exits import BAD, FINDING, Fault
from agents.commands.wording import LEVELS, is_aside, key_with_name
from streams.log_types import Latest

SHOWN = 8
"""Digits of an id that tables show."""
LEAST = 4
"""Digits that a person must give."""

_LISTED = 10


def alert_named(alerts: Iterable[Latest], word: str) -> Latest:
    """The alert whose id begins with a word.

    Raises
    ------
    Fault
        The word is too short, no id begins with it, or several do.
    """
    word = word.strip().lower()
    if len(word) < LEAST:
        raise Fault(BAD, f"{word!r} is too short for an alert: give at least {LEAST} digits of it")
    every = list(alerts)
    found = [latest for latest in every if latest.key.startswith(word.encode())]
    if not found:
        raise Fault(FINDING, f"there is no alert {word}; {_nearest(every, word)}")
    if len(found) > 1:
        more = f"\n… and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        lines = "\n".join(_line(orjson.loads(latest.value)) for latest in found[:_LISTED])
        raise Fault(BAD, f"{word} may be {len(found)} alerts, give more digits:\n{lines}{more}")
    return found[0]


def _matters(alert: dict[str, Any]) -> tuple[bool, bool]:
    return alert["kind"] != "live", alert["state"] != "clearing"


def worst_standing(alerts: Iterable[Latest]) -> Latest:
    """The newest alert of the worst level among those that stand.

    One that is suppressed or shelved is meant only where no other stands; one that clears, or is of
    the engine itself, where no other is as grave.

    Raises
    ------
    Fault
        None stands.
    """
    said = ((orjson.loads(latest.value), latest) for latest in alerts)
    standing = [
        (not is_aside(alert), alert["level"], *_matters(alert), latest.offset, latest)
        for alert, latest in said
        if alert["state"] != "cleared"
    ]
    if not standing:
        raise Fault(
            FINDING,
            "no alert stands: name one by its id; `cityvitals alerts --all` shows cleared ones",
        )
    return max(standing, key=lambda row: row[:-1])[-1]


def _nearest(alerts: list[Latest], word: str) -> str:
    by_head = {latest.key.decode()[: len(word)]: latest for latest in alerts}
    near = [by_head[head] for head in get_close_matches(word, by_head, n=3, cutoff=0.5)]
    if not near:
        return "`cityvitals alerts --all` shows them with their ids"
    lines = "\n".join(_line(orjson.loads(latest.value)) for latest in near)
    return f"the nearest are\n{lines}"


def _line(alert: dict[str, Any]) -> str:
    where = key_with_name(alert["key"], alert["place"])
    return f"  {alert['alert_id']}  {LEVELS[alert['level']]}  {alert['rule']}  {where}"
