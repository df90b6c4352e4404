"""Commands about alerts, made of what a person says and the alert as it stands.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from schemas.command import Command, CommandKind, read_command
from schemas.refusal import Refused
from streams.timeline import MINUTE_MS

SHORTEST_MIN, LONGEST_MIN = 1, 24 * 60
"""Minutes of a shelve: what is to be silent for longer is a matter of thresholds."""


def command_of(
    kind: CommandKind,
    alert: Mapping[str, Any],
    name: str,
    reason: str,
    minutes: float | None,
    now_ms: int,
    command_id: str,
) -> Command:
    """The command that a person means.

    Parameters
    ----------
    alert
        As it stands in `city.alerts.v1`.
    name, reason
        Who decides, and why.
    minutes
        How long an alert is shelved, from now on; None of other commands.
    now_ms
        What time it is in the city, int64 ms UTC.
    command_id
        A name that no other command has.

    Raises
    ------
    Refused
        With the field, what is wrong, and what to do: the alert is over or can not be marked, the
        length is no length of a shelve, or a text is missing, too long or no line of text.

    Examples
    --------
    >>> alert = {"alert_id": "5f2b", "rule": "drain.depth", "place": "4401", "state": "raised",
    ...     "kind": "threshold"}
    >>> command_of("shelve", alert, "duty desk", "works", 30, 1772402400000, "c1").until
    1772404200000
    >>> command_of("ack", alert, "", "pumps sent", None, 1772402400000, "c2")
    Traceback (most recent call last):
    Refused: `$.name` is out of bounds: send a text of length >= 1
    """
    if alert["state"] == "cleared":
        raise Refused(
            "no_such_alert",
            "$.alert_id",
            "names an alert that is over: there is nothing to mark any more",
        )
    if alert["kind"] == "loss":
        hint = "names lost records, an alert that never clears: it takes no marks"
        raise Refused("no_such_alert", "$.alert_id", hint)
    if alert["kind"] == "live":
        hint = "names an alert of the engine itself, which no log tells of: it takes no marks"
        raise Refused("no_such_alert", "$.alert_id", hint)
    plain = {
        "kind": kind,
        "command_id": command_id,
        "alert_id": alert["alert_id"],
        "rule": alert["rule"],
        "place": alert["place"],
        "name": name,
        "reason": reason,
    }
    if minutes is not None:
        plain["until"] = now_ms + round(_length(minutes) * MINUTE_MS)
    return read_command(orjson.dumps(plain))


def bytes_of(command: Command) -> bytes:
    """The record of a command; its key is the id of its alert."""
    return msgspec.json.encode(command)


def _length(minutes: float) -> float:
    if not SHORTEST_MIN <= minutes <= LONGEST_MIN:
        hint = f"is no length of a shelve: say 1 minute to {LONGEST_MIN // 60} hours"
        raise Refused("out_of_bounds", "$.until", hint)
    return minutes
