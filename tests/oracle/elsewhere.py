"""The shipped configuration, for the cities that public data are of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.configuration import Configuration
from schemas.loading import load
from tests.selection import choose

_SECRET = "a secret of the tests alone"


def in_city(
    place: str,
    zone: str,
    folder: Path,
    *,
    signs: tuple[str, ...] = ("",),
    places: Mapping[str, str] | None = None,
    partitions: Mapping[str, int] | None = None,
) -> Configuration:
    """The shipped configuration in another city, with no holidays.

    Parameters
    ----------
    place, zone
        Code of the city, and its time zone.
    folder
        Where the secret goes under which callers become hashes.
    signs
        How the ids begin of those that are kept.
    places
        Codes by name, of the city's districts; the shipped ones are another city's.
    partitions
        How many of a kind of topic; a lane that nobody sends to would be waited for until the log
        ends.
    """
    content: dict[str, Any] = load(environ={}).model_dump()
    content["city"] |= {"place": place, "time_zone": zone}
    content["calendar"] = {}
    secret = folder / "callers.key"
    secret.write_text(_SECRET, encoding="utf-8")
    content["hotline"] |= {"caller_key_file": str(secret), "places": dict(places or {})}
    for topic in content["topics"]:
        topic["partitions"] = (partitions or {}).get(topic["kind"], topic["partitions"])
    choose(content, lambda sign: sign["id"].startswith(signs))
    return Configuration.model_validate(content)
