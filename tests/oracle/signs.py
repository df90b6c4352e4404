"""What the oracle asks of a sign's definition."""

from __future__ import annotations

from schemas.configuration import Configuration
from schemas.signs import DerivedSign, LiveSign, Sign


def inputs_of(sign: Sign) -> list[str]:
    """Ids of the signs that a derived sign reads."""
    return sign.inputs if isinstance(sign, DerivedSign) else []


def streams_of(configuration: Configuration, sign: Sign) -> set[str]:
    """Streams that a sign reads, itself or through others."""
    if isinstance(sign, DerivedSign):
        named = (configuration.sign[name] for name in sign.inputs)
        return set().union(*(streams_of(configuration, one) for one in named))
    return set() if isinstance(sign, LiveSign) else {sign.topic}


def lateness_of(configuration: Configuration, sign: Sign) -> int:
    """How long after a window's end it is corrected, in ms; 0 for signs that are said once."""
    if isinstance(sign, DerivedSign):
        return max(lateness_of(configuration, configuration.sign[name]) for name in sign.inputs)
    if sign.kind != "window" or sign.topic == "arrivals":
        return 0
    return max(
        round(topic.allowed_lateness_s * 1000)
        for topic in configuration.topics
        if topic.kind == sign.topic
    )


def in_order(signs: list[Sign]) -> list[Sign]:
    """Signs so that each stands after those it reads."""
    left, done = list(signs), list[Sign]()
    while left:
        waiting = {sign.id for sign in left}
        ready = [sign for sign in left if not waiting.intersection(inputs_of(sign))]
        done += ready
        left = [sign for sign in left if sign not in ready]
    return done
