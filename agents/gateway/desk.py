"""What the routes work with, and what they have in common."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import orjson
from fastapi import Depends, Query, Request, Response
from prometheus_client import CollectorRegistry

from agents.gateway.access import Keys, Limiter, User
from agents.gateway.audit import AuditLog
from agents.gateway.city import Choice
from agents.gateway.events import Door
from agents.gateway.service import Service
from agents.outputs import DEVICE_VITALS
from agents.plan import signs_of_lanes
from schemas.configuration import Configuration
from schemas.spelling import guess

MOST = 100_000
PREFIX = r"^\d{0,15}$"
NAMES = r"^[^\x00-\x1f]{1,200}$"

Json = Literal["json", "csv"]
Read = Callable[..., dict[str, Any]]
"""History of a key: sign, key_level, key, start, end, resolution."""


@dataclass
class Desk:
    """What the routes work with."""

    service: Service
    configuration: Configuration
    keys: Keys
    audit: AuditLog
    audit_folder: Any
    door: Door
    registry: CollectorRegistry
    history: Read | None
    secure: bool
    most_streams: int
    names: Mapping[str, frozenset[str]]
    """Fields of the records of each input topic."""
    tries: Limiter
    """Wrong tokens of an address."""
    salt: str
    """Of this process: what it counted before a restart says nothing."""

    @cached_property
    def of_lanes(self) -> Mapping[str, frozenset[str]]:
        """Levels of the keys of each sign whose devices are told on `DEVICE_VITALS` alone."""
        names = signs_of_lanes(self.configuration)
        return {s.id: frozenset(s.keys) for s in self.configuration.signs if s.id in names}


class RefusedError(Exception):
    """A request that can not be answered as it stands."""

    def __init__(self, status: int, error: str, zh: str, en: str, hint: str) -> None:
        super().__init__(en)
        self.status = status
        self.body = {"error": error, "message_zh": zh, "message": en, "hint": hint}


_READY_S = 10.0

_DEVICE = frozenset({"device"})

NO_LOG = (LookupError, OSError, sqlite3.Error, BufferError)
"""What a feed raises that can not be read, or takes nothing."""


def no_log(error: BaseException, *, reads: bool = False) -> RefusedError:
    """What is answered when the feed raises one of `NO_LOG`, as it is written to or read."""
    if reads:
        zh, en, todo = "读不出日志", "the log can not be read just now", "ask again"
    else:
        zh, en, todo = "写不进日志", "the log takes nothing just now", "send it again"
    return RefusedError(503, "no_log", zh, en, f"{error}; {todo}")


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def when_ready(request: Request) -> None:
    """Wait until the log was read: before that nothing is known of what there is."""
    service = desk_of(request).service
    try:
        await asyncio.wait_for(service.became_ready.wait(), _READY_S)
    except TimeoutError:
        hint = "ask again; GET /ready tells when"
        raise RefusedError(503, "not_ready", "尚未就绪", "the log is being read", hint) from None


def user_of(request: Request) -> User:
    user: User = request.state.user
    return user


At = Annotated[Desk, Depends(desk_of)]
Asking = Annotated[User, Depends(user_of)]
Under = Annotated[
    str, Query(pattern=PREFIX, description="Beginning of the place code of a result's place.")
]
Names = Annotated[str | None, Query(pattern=NAMES, description="One, or several with commas.")]
Limit = Annotated[int, Query(ge=1, le=MOST)]
Form = Annotated[Json, Query(alias="format")]


def choice_of(domain: str | None, sign: str | None, key_level: str | None, under: str) -> Choice:
    """What the query asks for."""
    domains, signs, levels = (
        frozenset((text or "").split(",")) - {""} for text in (domain, sign, key_level)
    )
    return Choice(domains, signs, levels, under)


def as_json(content: Any, status: int = 200) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(orjson.dumps(content), status, headers, "application/json")


def as_csv(body: bytes, name: str, headers: dict[str, str]) -> Response:
    told = {**headers, "content-disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type="text/csv; charset=utf-8", headers=told)


async def note(desk: Desk, user: User, action: str, target: str, detail: dict[str, Any]) -> None:
    """Write a line of the audit log; what can not be recorded is not done."""
    now = time.time_ns() // 1_000_000
    try:
        await asyncio.to_thread(desk.audit.write, now, user.name, user.role, action, target, detail)
    except OSError as error:
        zh, en = "写不进审计日志", "the audit log can not be written"
        hint = f"{error}; make room or give the gateway's user the right to write, and try again"
        raise RefusedError(503, "no_audit", zh, en, hint) from error


def require_told_here(desk: Desk, choice: Choice) -> None:
    """Refuse to look for results that are told many a record, in a topic that is not read here."""
    levels = [choice.key_levels or desk.of_lanes.get(sign, frozenset()) for sign in choice.signs]
    if choice.signs and choice.signs <= desk.of_lanes.keys() and set(levels) == {_DEVICE}:
        zh, en = "单台设备的结果不在此处", "results of single devices are not told here"
        hint = f"read {DEVICE_VITALS}; places stand here, and alerts of devices at GET /alerts"
        raise RefusedError(404, "of_device", zh, en, hint)


def require_known(request: Request) -> None:
    """Refuse parameters that a route does not have."""
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    for name in request.query_params:
        if name not in known:
            near = guess(name, known) or ";"
            told = ", ".join(sorted(known)) or "none"
            hint = f"{name} is no parameter of this route{near} there are {told}"
            raise RefusedError(422, "unknown_parameter", "没有此参数", "no such parameter", hint)
