"""Whether alerts that are raised one level early have a sign that tells their rate."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from schemas.findings import Finding
from schemas.signs import LiveSign, Sign
from schemas.spelling import guess

_AT = ("alert", "early")


def check_early(
    sign: Sign, by_id: Mapping[str, Sign], unread: Collection[str]
) -> Iterator[Finding]:
    """What is wrong with it, by paths inside the sign."""
    if sign.alert is None or sign.alert.early is None:
        return
    rate, name = by_id.get(sign.alert.early.rate), sign.alert.early.rate
    path = (*_AT, "rate")
    if isinstance(sign, LiveSign):
        yield _AT, "a live sign is no function of the log: remove early"
    elif rate is None:
        if name not in unread:
            yield path, f"unknown sign '{name}'{guess(name, by_id)}"
    elif isinstance(rate, LiveSign):
        yield path, f"'{name}' is live: it is no function of the log, and no alert may wait for it"
    elif rate.id == sign.id:
        yield path, "is the sign itself: name one that tells how fast it changes"
    else:
        missing = [key for key in sign.alert.keys or sign.keys if key not in rate.keys]
        if missing:
            yield path, f"'{name}' has no key {', '.join(missing)}"
        if sign.window.hop_s is None or rate.window.hop_s is None:
            yield _AT, "calendar windows are told when all is over: use size_s and hop_s"
