"""Tokens, sessions, roles, limits: every role at every route, and what is refused at the door."""

from __future__ import annotations

import asyncio
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.routing import APIRoute

from agents.gateway import alert_routes, routes
from agents.gateway.access import (
    ROUTES,
    SESSION_S,
    Key,
    Keys,
    User,
    host_is_known,
    is_cross_site,
    verdict,
)
from schemas.gateway import Role

WRITES = ("/alerts/{alert_id}/ack", "/alerts/{alert_id}/unack", "/alerts/{alert_id}/shelve",
          "/alerts/{alert_id}/unshelve", "/events")  # fmt: skip
READS = ("/session", "/signs", "/signs/{sign}/{key_level}/{key:path}", "/history", "/alerts",
         "/alerts/{alert_id}", "/catalogue", "/places", "/accounting", "/deadletters", "/stream",
         "/metrics", "/openapi.json", "/asyncapi.json")  # fmt: skip
ROLES: tuple[Role | None, ...] = (None, "viewer", "operator", "auditor", "admin")


def expected(method: str, path: str, role: Role | None) -> str:
    """What the rule says: anybody may ask how it is and log in or out; who has a token may look;
    operators and admins change things; auditors and admins read the audit log."""
    if path in ("/live", "/ready") or (path == "/session" and method in ("POST", "DELETE")):
        return "open"
    if role is None:
        return "nobody"
    may = (
        path in READS
        if method == "GET" and path != "/audit"
        else role in ("auditor", "admin")
        if path == "/audit"
        else role in ("operator", "admin") and path in WRITES
    )
    return "allowed" if may else "forbidden"


@pytest.mark.parametrize(("way", "role"), [*product(ROUTES, ROLES)], ids=str)
def test_each_role_may_do_what_is_its_own(way: tuple[str, str], role: Role | None) -> None:
    user = None if role is None else User("somebody", role)
    assert verdict(*way, user) == expected(*way, role)


def test_every_route_is_in_the_table() -> None:
    there = {
        (method, route.path)
        for router in (routes.router, alert_routes.router)
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert there | {("GET", "/openapi.json"), ("GET", "/asyncapi.json")} == set(ROUTES)


def test_what_is_in_no_table_is_refused() -> None:
    assert verdict("PUT", "/signs", User("a", "admin")) == "unknown"
    assert verdict("GET", "/secret", User("a", "admin")) == "unknown"


KEYS = Keys([Key.of("desk", "operator", "x" * 20), Key.of("eye", "viewer", "y" * 20)])


def test_a_session_is_of_its_token_and_ends() -> None:
    session = KEYS.session("y" * 20, 1_000)
    assert KEYS.of_session(session, 1_000 + SESSION_S - 1) == User("eye", "viewer")
    assert KEYS.of_session(session, 1_000 + SESSION_S) is None


@pytest.mark.parametrize(
    "forged",
    [
        "",
        ".",
        "..",
        "0.99999999999.",
        "0.99999999999.00",
        "9.99999999999.ff",
        "-1.1.1",
        "0.1e9.ff",
        "٠.99999999999.ff",
        "1.2.3.4",
        "x" * 5000,
    ],
)
def test_a_forged_session_is_nobodys(forged: str) -> None:
    assert KEYS.of_session(forged, 0) is None


def test_a_session_can_not_be_lengthened_nor_given_to_another() -> None:
    place, ends, nonce, signature = KEYS.session("y" * 20, 0, "ab").split(".")
    assert KEYS.of_session(f"{place}.{ends}.{nonce}.{signature}", 0) is not None
    assert KEYS.of_session(f"{place}.{int(ends) + 1}.{nonce}.{signature}", 0) is None
    assert KEYS.of_session(f"{place}.{ends}.ac.{signature}", 0) is None
    assert KEYS.of_session(f"0.{ends}.{nonce}.{signature}", 0) is None


def test_a_session_that_was_left_lets_nobody_in() -> None:
    keys = Keys([Key.of("desk", "operator", "x" * 20)])
    one, other = (keys.session("x" * 20, 0, nonce) for nonce in ("a", "b"))
    keys.end(one, 1)
    keys.end("0.99999999999..00", 1)
    assert keys.of_session(one, 1) is None
    assert keys.of_session(other, 1) is not None


def test_sessions_end_with_their_token() -> None:
    session = KEYS.session("x" * 20, 0)
    assert Keys([Key.of("desk", "operator", "z" * 20)]).of_session(session, 1) is None


def test_a_short_token_is_refused() -> None:
    with pytest.raises(ValueError, match="less than 16"):
        Key.of("desk", "operator", "secret")


@pytest.mark.parametrize(
    ("method", "headers", "crosses"),
    [
        ("POST", {}, False),
        ("POST", {"origin": "http://127.0.0.1:8808"}, False),
        ("POST", {"origin": "http://evil.example"}, True),
        ("POST", {"origin": "null"}, True),
        ("POST", {"sec-fetch-site": "cross-site"}, True),
        ("DELETE", {"sec-fetch-site": "same-site"}, True),
        ("POST", {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8808"}, False),
        ("GET", {"sec-fetch-site": "cross-site"}, False),
    ],
)
def test_changes_come_from_the_page_itself(
    method: str, headers: dict[str, str], crosses: bool
) -> None:
    assert is_cross_site(method, headers, "127.0.0.1:8808") == crosses


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:8808", True),
        ("localhost", True),
        ("[::1]:8808", True),
        ("city.example:443", True),
        ("evil.example", False),
        ("", False),
        ("127.0.0.1.evil.example", False),
    ],
)
def test_the_gateway_is_called_by_its_name(host: str, known: bool) -> None:
    assert host_is_known(host, ("city.example",)) == known


@pytest.mark.parametrize(
    ("is_ready", "trouble", "nobody", "somebody"),
    [
        (False, None, "reading what is known", "reading what is known"),
        (False, "no Kafka at b:1", "the log can not be read", "the log can not be read: no Kafka"),
        (True, None, "ready", "ready"),
        (True, "no Kafka at b:1", "ready, but the log can not be read just now", "now: no Kafka"),
    ],
)
def test_why_the_log_can_not_be_read_is_told_to_who_has_a_token(
    is_ready: bool, trouble: str | None, nobody: str, somebody: str
) -> None:
    desk: Any = SimpleNamespace(service=SimpleNamespace(ready=is_ready, trouble=trouble))
    for user, told in ((None, f'"{nobody}"'), (User("eye", "viewer"), somebody)):
        request: Any = SimpleNamespace(state=SimpleNamespace(user=user))
        answer = asyncio.run(routes.ready(desk, request))
        assert answer.status_code == (200 if is_ready else 503)
        assert told in bytes(answer.body).decode()
