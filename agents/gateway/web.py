"""What stands before every route: names, tokens, roles, limits, headers.  ASGI."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.routing import compile_path

from agents.gateway.access import (
    ROUTES,
    Keys,
    Limiter,
    User,
    host_is_known,
    is_cross_site,
    verdict,
)
from agents.gateway.wire import in_pieces

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SMALL_BODY = 64 << 10
"""Most bytes of a body that is no batch of events."""
HEAD_BYTES = 32 << 10
"""Most of a request's path, query and headers."""
_TRIES_PER_S, _TRIES = 0.2, 10.0
"""Wrong tokens of one address: so many a second, and at once."""

_PATTERNS = {way: compile_path(way[1])[0] for way in ROUTES}

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

MESSAGES = {
    "nobody": (
        401,
        "需要令牌",
        "a token of this gateway is needed",
        "send it as Authorization: Bearer TOKEN; where it is kept, the gateway says at its start",
    ),
    "forbidden": (403, "此角色不可使用", "not for this role", "ask an admin for another token"),
    "cross_site": (403, "来自其他站点", "comes from another site", "send it from the page itself"),
    "unknown_host": (
        421,
        "主机名不符",
        "another host is named",
        "name the address the gateway printed, or add the name to gateway.names",
    ),
    "too_many": (429, "请求过多", "too many requests", "wait a moment"),
    "too_large": (413, "内容过大", "the body is too large", "send fewer lines at once"),
    "head_too_large": (
        431,
        "请求头过大",
        "the head of the request is too large",
        "send shorter headers and a shorter query",
    ),
    "unreadable": (422, "内容不可读", "the body can not be read", "send JSON in UTF-8"),
    "not_found": (404, "没有此路径", "no such path", "/openapi.json lists them all"),
    "wrong_method": (405, "方法不符", "another method is meant", "/openapi.json lists them all"),
}


def cookie_of(scope: Scope) -> str:
    """Name of the session's cookie: browsers do not tell ports apart."""
    return f"cityvitals-{(scope.get('server') or ('', 0))[1]}"


def refusal(code: str, hint: str | None = None) -> tuple[int, bytes]:
    """Status and body of what stands in `MESSAGES`."""
    status, zh, en, known = MESSAGES[code]
    body = {"error": code, "message_zh": zh, "message": en, "hint": hint or known}
    return status, orjson.dumps(body)


class Guard:
    """Answers in place of the application where a request may not reach it.

    Parameters
    ----------
    api
        Whose routes are guarded; paths that are none of them go to ``page``.
    page
        Serves the static files, which hold nothing of the city.
    hosts
        Names beside loopback under which the gateway may be called.
    origins
        Pages of others whose scripts may ask, with a token of their own: no cookie is sent there.
    body_bytes
        Most of a batch of events.
    """

    def __init__(
        self,
        api: App,
        page: App,
        keys: Keys,
        *,
        hosts: tuple[str, ...],
        origins: frozenset[str],
        body_bytes: int,
        requests_per_s: float,
    ) -> None:
        self._api, self._page, self._keys = api, page, keys
        self._hosts, self._origins, self._body_bytes = hosts, origins, body_bytes
        self._requests = Limiter(requests_per_s, 10 * requests_per_s)
        self._tries = Limiter(_TRIES_PER_S, _TRIES)
        self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        origin = self._origin(scope)
        send = in_pieces(send)
        sending = _with_headers(send, secure=scope["scheme"] == "https", origin=origin)
        if origin is not None and scope["method"] == "OPTIONS":
            await _permit(sending)
            return
        code = self._check(scope, origin)
        if code is not None:
            self.refused += 1
            await _answer(sending, *refusal(code))
            return
        if scope["state"].get("route") is None:
            await self._page(scope, receive, sending)
            return
        if scope["method"] == "HEAD":
            if scope["path"] == "/stream":
                await _answer(sending, *refusal("wrong_method"))
                return
            # The server sends the head alone.
            scope = {**scope, "method": "GET"}
        most = self._body_bytes if scope["path"] == "/events" else SMALL_BODY
        await self._api(scope, _limited(receive, most), sending)

    def _origin(self, scope: Scope) -> str | None:
        """The page of somebody else that asks, if it may."""
        origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1")
        return origin if origin in self._origins else None

    def _check(self, scope: Scope, origin: str | None) -> str | None:
        """Why a request is refused; None where it is not."""
        if _head_bytes(scope) > HEAD_BYTES:
            return "head_too_large"
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        host, method = headers.get("host", ""), scope["method"]
        address = (scope.get("client") or ("unix", 0))[0]
        scope.setdefault("state", {})
        if not host_is_known(host, self._hosts):
            return "unknown_host"
        if not self._requests.take(address, time.monotonic()):
            return "too_many"
        if origin is not None:
            # Of somebody else's page a cookie says nothing.
            headers.pop("cookie", None)
        elif is_cross_site(method, headers, host):
            return "cross_site"
        route, wrong = self._route(scope)
        scope["state"]["route"] = route
        if route is None:
            if wrong:
                return "wrong_method"
            return None if method in ("GET", "HEAD") else "not_found"
        length = headers.get("content-length", "0")
        most = self._body_bytes if scope["path"] == "/events" else SMALL_BODY
        if length.isdigit() and len(length) < 19 and int(length) > most:
            return "too_large"
        user, tried = self._user(headers, cookie_of(scope))
        if tried and user is None and not self._tries.take(address, time.monotonic()):
            return "too_many"
        scope["state"]["user"] = user
        found = verdict(method, route, user)
        return {"allowed": None, "open": None, "unknown": "not_found"}.get(found, found)

    def _route(self, scope: Scope) -> tuple[str | None, bool]:
        """The route that is meant, and whether its path is known with another method alone."""
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        wrong = False
        for (allowed, path), pattern in _PATTERNS.items():
            if pattern.match(scope["path"]):
                if allowed == method:
                    return path, False
                wrong = True
        return None, wrong

    def _user(self, headers: dict[str, str], cookie: str) -> tuple[User | None, bool]:
        """Who it is, and whether a token was shown."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._keys.user(token.strip()), True
        session = cookie_parser(headers.get("cookie", "")).get(cookie)
        if session is None:
            return None, False
        return self._keys.of_session(session, int(time.time())), False


def _head_bytes(scope: Scope) -> int:
    """About what the head of a request took, whether it came at once or not."""
    headers = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    return headers + len(scope.get("raw_path") or b"") + len(scope["query_string"])


def _limited(receive: Receive, most: int) -> Receive:
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise HTTPException(413)
        return message

    return limited


def _with_headers(send: Send, *, secure: bool, origin: str | None) -> Send:
    told = dict(HEADERS)
    if origin is not None:
        told |= {"access-control-allow-origin": origin, "vary": "origin"}
        told["cross-origin-resource-policy"] = "cross-origin"
    more = [(name.encode(), value.encode()) for name, value in told.items()]
    if secure:
        more.append((b"strict-transport-security", b"max-age=31536000"))

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *more]
        await send(message)

    return sending


async def _permit(send: Send) -> None:
    """Answer a browser that asks whether a page may ask."""
    headers = [
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-allow-headers", b"authorization, content-type, last-event-id"),
        (b"access-control-max-age", b"600"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        # What was not read of the request is not waited for.
        (b"connection", b"close"),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
