"""Which signs and incidents an event of a named system feeds, by what they match.

An event is written ``KIND``, ``KIND WHAT`` or ``KIND WHAT OF``: ``sensor``, ``traffic parking``,
``sensor gas_lel hazchem``, ``hotline order grid``.  ``OF`` is what some signs ask for beside it:
the type of the site, the medium, the class, what is warned of, or the system of an order; several
are divided by ``/``.  An order without it is one of the 12345 hotline.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from schemas.configuration import Configuration
from schemas.signs import DerivedSign, LiveSign, Sign
from schemas.words import TOPIC_OF

_ASKED = ("site_type", "medium", "cls", "event", "system")


class Fed(NamedTuple):
    """An event as a named system sends it."""

    kind: str
    what: str
    of: frozenset[str]

    @classmethod
    def read(cls, text: str) -> Fed:
        """An event as it is written."""
        kind, _, rest = text.partition(" ")
        what, _, of = rest.partition(" ")
        said = frozenset(of.split("/")) - {""}
        return cls(kind, what, said or frozenset({"12345"} if kind == "hotline" else ()))

    def feeds(self, sign: Any) -> bool:
        """Whether a sign takes it that reads events."""
        if TOPIC_OF[sign.topic] != self.kind:
            return False
        if not self.what:
            return True
        match = dict(sign.match)
        where = getattr(sign.aggregate, "where", None) or {}
        whats = match.get("metric" if self.kind == "sensor" else "kind")
        if sign.topic == "orders":
            whats = "order"
        if whats is not None and self.what not in _listed(whats):
            return False
        asked = [match.get(name, where.get(name)) for name in _ASKED]
        return all(one is None or self.of & set(_listed(one)) for one in asked)


def _listed(wanted: Any) -> list[str]:
    return wanted if isinstance(wanted, list) else [wanted]


def leaves(configuration: Configuration, name: str) -> Iterator[Sign]:
    """The signs over events that a sign or incident is made of, in the end."""
    incidents = {incident.id: incident for incident in configuration.incidents}
    if name in incidents:
        for each in incidents[name].inputs:
            yield from leaves(configuration, each)
        return
    sign = configuration.sign[name]
    if isinstance(sign, DerivedSign):
        for each in sign.inputs:
            yield from leaves(configuration, each)
    elif not isinstance(sign, LiveSign):
        yield sign


def is_fed(configuration: Configuration, name: str, event: str) -> bool:
    """Whether an event is of those that a sign or incident is made of."""
    fed = Fed.read(event)
    return any(fed.feeds(sign) for sign in leaves(configuration, name))
