"""Who may do what: tokens, sessions, roles by route, limits.  Pure: the clock is handed in."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from schemas.gateway import Role

SESSION_S = 12 * 3600
LEAST_TOKEN = 16
"""Characters."""

EVERYONE: frozenset[str] = frozenset({"viewer", "operator", "auditor", "admin"})
OPERATORS: frozenset[str] = frozenset({"operator", "admin"})
AUDITORS: frozenset[str] = frozenset({"auditor", "admin"})
OPEN: frozenset[str] = frozenset()
"""Needs no token."""

ROUTES: Mapping[tuple[str, str], frozenset[str]] = {
    ("GET", "/live"): OPEN,
    ("GET", "/ready"): OPEN,
    ("POST", "/session"): OPEN,
    ("DELETE", "/session"): OPEN,
    ("GET", "/session"): EVERYONE,
    ("GET", "/signs"): EVERYONE,
    ("GET", "/signs/{sign}/{key_level}/{key:path}"): EVERYONE,
    ("GET", "/history"): EVERYONE,
    ("GET", "/alerts"): EVERYONE,
    ("GET", "/alerts/{alert_id}"): EVERYONE,
    ("POST", "/alerts/{alert_id}/ack"): OPERATORS,
    ("POST", "/alerts/{alert_id}/unack"): OPERATORS,
    ("POST", "/alerts/{alert_id}/shelve"): OPERATORS,
    ("POST", "/alerts/{alert_id}/unshelve"): OPERATORS,
    ("POST", "/events"): OPERATORS,
    ("GET", "/catalogue"): EVERYONE,
    ("GET", "/places"): EVERYONE,
    ("GET", "/accounting"): EVERYONE,
    ("GET", "/deadletters"): EVERYONE,
    ("GET", "/audit"): AUDITORS,
    ("GET", "/stream"): EVERYONE,
    ("GET", "/metrics"): EVERYONE,
    ("GET", "/openapi.json"): EVERYONE,
    ("GET", "/asyncapi.json"): EVERYONE,
}
"""Every route of the API and the roles that may use it; what is not listed is refused."""


class User(NamedTuple):
    """Somebody who has shown a token."""

    name: str
    role: Role


@dataclass(frozen=True)
class Key:
    """A token, known by its digest alone."""

    user: User
    digest: bytes

    @classmethod
    def of(cls, name: str, role: Role, token: str) -> Key:
        """The key that a token is.

        Raises
        ------
        ValueError
            The token is too short to be kept from guessing.
        """
        if len(token) < LEAST_TOKEN:
            raise ValueError(f"the token of {name} has less than {LEAST_TOKEN} characters")
        return cls(User(name, role), hashlib.sha256(token.encode()).digest())


class Keys:
    """All tokens, and the sessions that were opened with them.

    A session is signed with its token's digest: it outlives a restart, and ends with the token. One
    that was ended is remembered until it would be over, by this process alone.

    Examples
    --------
    >>> keys = Keys([Key.of("desk", "operator", "a token of the desk")])
    >>> keys.user("a token of the desk").role, keys.user("another")
    ('operator', None)
    >>> keys.of_session(keys.session("a token of the desk", 1000), 2000).name
    'desk'
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = keys
        self._ended: dict[str, int] = {}
        """Sessions that somebody has left, and when they would be over, in seconds."""

    def user(self, token: str) -> User | None:
        """Whose token it is; every key is compared, each in constant time."""
        digest, found = hashlib.sha256(token.encode()).digest(), None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key.user
        return found

    def session(self, token: str, now_s: int, nonce: str = "") -> str:
        """A session of the token's owner, for a cookie; a nonce tells it from its like."""
        digest = hashlib.sha256(token.encode()).digest()
        place = next(i for i, k in enumerate(self._keys) if hmac.compare_digest(k.digest, digest))
        ends = now_s + SESSION_S
        return f"{place}.{ends}.{nonce}.{self._sign(place, ends, nonce)}"

    def _sign(self, place: int, ends: int, nonce: str) -> str:
        told = f"{place}.{ends}.{nonce}".encode()
        return hmac.digest(self._keys[place].digest, told, "sha256").hex()

    def end(self, session: str, now_s: int) -> None:
        """Let nobody in by it any more."""
        if self.of_session(session, now_s) is None:
            return
        self._ended = {one: ends for one, ends in self._ended.items() if ends > now_s}
        self._ended[session] = int(session.split(".")[1])

    def of_session(self, session: str, now_s: int) -> User | None:
        """Whose session it is; None where it is over, or was never given."""
        place, ends, nonce, signature = (*session.split(".", 3), "", "", "")[:4]
        if not (_is_number(place) and _is_number(ends)) or int(place) >= len(self._keys):
            return None
        expected = self._sign(int(place), int(ends), nonce)
        if not hmac.compare_digest(expected.encode(), signature.encode()) or int(ends) <= now_s:
            return None
        if session in self._ended:
            return None
        return self._keys[int(place)].user


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


Verdict = Literal["open", "allowed", "unknown", "forbidden", "nobody"]


def verdict(method: str, route: str, user: User | None) -> Verdict:
    """Whether a request may be answered."""
    allowed = ROUTES.get(("GET" if method == "HEAD" else method, route))
    if allowed is None:
        return "unknown"
    if not allowed:
        return "open"
    if user is None:
        return "nobody"
    return "allowed" if user.role in allowed else "forbidden"


class Limiter:
    """So many requests a second of each address, and a burst.

    >>> limiter = Limiter(1.0, 2.0)
    >>> [limiter.take("a", at) for at in (0.0, 0.0, 0.0, 1.0)]
    [True, True, False, True]
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, who: str, now: float) -> bool:
        """Whether one more is granted at a monotonic time."""
        left, at = self._left.pop(who, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_s)
        granted = left >= 1
        self._left[who] = (left - granted, now)
        if len(self._left) > 10_000:
            del self._left[next(iter(self._left))]
        return granted


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone.

    >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "city.example")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_cross_site(method: str, headers: Mapping[str, str], host: str) -> bool:
    """Whether a request that changes something comes from a page of somebody else."""
    if method in ("GET", "HEAD", "OPTIONS"):
        return False
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != host


def host_is_known(host: str, names: Sequence[str]) -> bool:
    """Whether a Host header names this gateway; another name may be a trick of name servers.

    >>> host_is_known("127.0.0.1:8808", []), host_is_known("evil.example", [])
    (True, False)
    """
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    name = name.strip("[]").lower()
    return is_loopback(name) or name in names
