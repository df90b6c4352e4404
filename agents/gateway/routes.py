"""The routes of the gateway."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import Counter
from importlib.metadata import version
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from prometheus_client import generate_latest
from sse_starlette.sse import EventSourceResponse

from agents.commands.wording import english_names, place_names
from agents.gateway import alert_routes, answers
from agents.gateway import bodies as b
from agents.gateway.audit import verify
from agents.gateway.city import Choice
from agents.gateway.desk import (
    MOST,
    NAMES,
    NO_LOG,
    PREFIX,
    Asking,
    At,
    Form,
    Limit,
    Names,
    RefusedError,
    Under,
    as_csv,
    as_json,
    choice_of,
    no_log,
    note,
    require_known,
    require_told_here,
    when_ready,
)
from agents.gateway.hub import Client
from agents.gateway.web import cookie_of
from schemas.masked import masked
from schemas.places import level_of
from schemas.reference import reference

router = APIRouter(dependencies=[Depends(require_known)])
router.include_router(alert_routes.router)


# --- how it is ---------------------------------------------------------------------------------


@router.get("/live", response_model=b.Health)
async def live() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "alive"}


@router.get("/ready", response_model=b.Health, responses={503: {"model": b.Health}})
async def ready(desk: At, request: Request) -> Response:
    """Whether everything that is known was read; why not, for who shows a token."""
    service = desk.service
    status = "ready" if service.ready else "reading what is known"
    if service.trouble:
        # It may name a broker and its user, and anybody may ask.
        why = f": {service.trouble}" if request.state.user is not None else ""
        status = f"ready, but the log can not be read just now{why}"
        if not service.ready:
            status = f"the log can not be read{why}"
    return as_json({"status": status}, 200 if service.ready else 503)


@router.get("/metrics", response_class=Response)
async def metrics(desk: At) -> Response:
    """For Prometheus."""
    return Response(generate_latest(desk.registry), media_type="text/plain; version=0.0.4")


@router.get("/accounting", response_model=b.AccountingAnswer)
async def accounting(desk: At) -> Response:
    """Where every event went, and how far the engine is."""
    return as_json(desk.service.accounting())


# --- who asks ----------------------------------------------------------------------------------


@router.post("/session", status_code=204, responses={401: {"model": b.Problem}})
async def log_in(desk: At, body: b.Login, request: Request) -> Response:
    """Open a session: a cookie that no script can read."""
    user = desk.keys.user(body.token)
    if user is None:
        if not desk.tries.take((request.scope.get("client") or ("", 0))[0], time.monotonic()):
            raise RefusedError(429, "too_many", "请求过多", "too many tries", "wait a moment")
        hint = "where the gateway was started, the token or its file is told"
        raise RefusedError(401, "wrong_token", "令牌不符", "no such token", hint)
    now = int(time.time())
    response = Response(status_code=204)
    response.set_cookie(
        cookie_of(request.scope),
        desk.keys.session(body.token, now, secrets.token_hex(8)),
        httponly=True,
        samesite="strict",
        secure=desk.secure,
        path="/",
    )
    await note(desk, user, "login", "session", {})
    return response


@router.delete("/session", status_code=204)
async def log_out(desk: At, request: Request) -> Response:
    """End the session, in this browser and wherever its cookie was copied to."""
    session = request.cookies.get(cookie_of(request.scope))
    if session is not None:
        desk.keys.end(session, int(time.time()))
    response = Response(status_code=204)
    response.delete_cookie(cookie_of(request.scope), path="/")
    return response


@router.get("/session", response_model=b.Session)
async def session(desk: At, user: Asking) -> dict[str, Any]:
    """Who is asking, and about which city."""
    city = desk.configuration.city
    return {
        "name": user.name,
        "role": user.role,
        "city": {
            "zh": city.name.zh,
            "en": city.name.en,
            "place": city.place,
            "time_zone": city.time_zone,
        },
        "languages": ["zh", "en"],
        "version": version("cityvitals"),
    }


# --- signs -------------------------------------------------------------------------------------


@router.get(
    "/signs",
    dependencies=[Depends(when_ready)],
    responses={404: {"model": b.Problem}, 503: {"model": b.Problem}},
)
async def signs(
    desk: At,
    domain: Names = None,
    sign: Names = None,
    key_level: Names = None,
    key: Annotated[str | None, Query(pattern=NAMES)] = None,
    place: Annotated[str, Query(pattern=PREFIX, description="Exactly this place code.")] = "",
    under: Under = "",
    limit: Limit = MOST,
    form: Form = "json",
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The newest result of each key.

    The tag is that of the items alone: 304 says that none of them changed.  `now` and `as_of`,
    which go on meanwhile, are those of the answer that came with the tag.
    """
    service = desk.service
    choice = choice_of(domain, sign, key_level, under)
    require_told_here(desk, choice)
    rows = [
        said
        for said in service.city.chosen(choice)
        if (key is None or said.key == key) and (not place or said.place == place)
    ][:limit]
    newest = max((said.version for said in rows), default=0)
    tag = answers.tag_of(desk.salt, newest, len(rows), form)
    headers = {"etag": tag, "cache-control": "no-cache", "vary": "authorization, cookie"}
    if answers.is_known(tag, if_none_match):
        return Response(status_code=304, headers=headers)
    if form == "csv":
        told = (orjson.loads(said.raw) for said in rows)
        body = await asyncio.to_thread(answers.as_csv, told, answers.RESULT_COLUMNS)
        return as_csv(body, "signs.csv", headers)
    body = answers.listing([said.raw for said in rows], service.city.as_of, service.now)
    return Response(body, media_type="application/json", headers=headers)


@router.get(
    "/signs/{sign}/{key_level}/{key:path}",
    dependencies=[Depends(when_ready)],
    responses={404: {"model": b.Problem}, 503: {"model": b.Problem}},
)
async def one_sign(
    desk: At,
    sign: str,
    key_level: str,
    key: str,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The newest result of one key."""
    require_told_here(desk, choice_of(None, sign, key_level, ""))
    said = desk.service.city.results.get(f"{sign}|{key_level}|{key}".encode())
    if said is None:
        hint = "GET /signs lists what was said"
        raise RefusedError(404, "never_said", "没有结果", "nothing was said of it", hint)
    tag = answers.tag_of(desk.salt, said.version)
    headers = {"etag": tag, "cache-control": "no-cache", "vary": "authorization, cookie"}
    if answers.is_known(tag, if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(said.raw, media_type="application/json", headers=headers)


@router.get(
    "/history",
    response_model=b.History,
    responses={
        404: {"model": b.Problem},
        422: {"model": b.Problem},
        503: {"model": b.Problem},
    },
)
async def history(
    desk: At,
    sign: Annotated[str, Query(pattern=NAMES)],
    key_level: Annotated[str, Query(pattern=NAMES)],
    key: Annotated[str, Query(pattern=NAMES)],
    start: Annotated[int | None, Query(alias="from", ge=0, le=1 << 52)] = None,
    end: Annotated[int | None, Query(alias="to", ge=0, le=1 << 52)] = None,
    resolution: Annotated[str, Query(max_length=16)] = "auto",
    form: Form = "json",
) -> Response:
    """What was said of one key, as windows or as buckets of them; a day if no range is given."""
    if desk.history is None:
        hint = "start the gateway with a data folder"
        raise RefusedError(503, "no_history", "没有历史", "no history is kept here", hint)
    require_told_here(desk, choice_of(None, sign, key_level, ""))
    from agents.gateway.buckets import resolution_of

    until = end if end is not None else max(desk.service.now, desk.service.city.as_of or 0)
    since = start if start is not None else until - 86_400_000
    try:
        length = resolution_of(resolution)
    except ValueError as error:
        zh, en = "分辨率不符", "no such resolution"
        raise RefusedError(422, "bad_resolution", zh, en, str(error)) from error
    if since > until or (isinstance(length, int) and (until - since) / length > MOST):
        hint = f"give `from` before `to`, and at most {MOST:,} buckets"
        raise RefusedError(422, "bad_range", "时间范围不符", "no such range", hint)
    where = (sign, key_level, key)
    columns = await asyncio.to_thread(desk.history, *where, since, until, length)
    columns = dict(zip(("sign", "key_level", "key"), where, strict=True)) | columns
    if form == "csv":
        body = await asyncio.to_thread(answers.columns_as_csv, columns)
        return as_csv(body, "history.csv", {})
    return as_json(columns)


# --- what there is -----------------------------------------------------------------------------


@router.get("/catalogue")
async def catalogue(
    request: Request, desk: At, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Signs, incidents, metrics, tables and overlays of the configuration."""
    tag = answers.tag_of(desk.configuration.label)
    headers = {"etag": tag, "cache-control": "no-cache"}
    if answers.is_known(tag, if_none_match):
        return Response(status_code=304, headers=headers)
    if not hasattr(request.app.state, "catalogue"):
        request.app.state.catalogue = orjson.dumps(reference(desk.configuration))
    body: bytes = request.app.state.catalogue
    return Response(body, media_type="application/json", headers=headers)


@router.get("/places", response_model=b.Places)
async def places(desk: At, under: Under = "") -> Response:
    """The places that have a name: the city, its districts and streets."""
    city = desk.configuration.city
    english = english_names() | {city.place: city.name.en}
    found = [
        {
            "code": code,
            "level": level_of(code),
            "zh": name,
            "en": english.get(code),
            "parent": next((code[:n] for n in (6, 4) if n < len(code)), None),
        }
        for code, name in sorted(place_names().items())
        if code.startswith(under) and code.startswith(city.place)
    ]
    return as_json({"places": found})


@router.get("/deadletters", responses={503: {"model": b.Problem}})
async def dead_letters(desk: At, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    """The newest refused records: where they stand and why.

    Of each reason one record is shown as an example, with its digits as 9 and its letters as x.
    """
    feed = desk.service.feed
    examples: dict[str, str | None] = {}
    try:
        rows = await asyncio.to_thread(feed.dead_letters, limit)
        items = [orjson.loads(raw) for _, raw in rows]
        newest = {item["reason"]: item for item in reversed(items)}
        for reason, item in newest.items():
            place = item["topic"], item["partition"], item["offset"]
            raw = await asyncio.to_thread(feed.record, *place)
            names = desk.names.get(item["topic"], ())
            examples[reason] = None if raw is None else masked(raw, names)
    except NO_LOG as error:
        raise no_log(error, reads=True) from error
    reasons = Counter(item["reason"] for item in items)
    return as_json({"items": items, "reasons": reasons, "examples": examples})


@router.get("/audit", response_model=b.Audit)
async def audit(desk: At, limit: Annotated[int, Query(ge=1, le=10_000)] = 200) -> Response:
    """Who changed what, the newest first."""
    items = await asyncio.to_thread(desk.audit.newest, limit)
    _, broken = await asyncio.to_thread(verify, desk.audit_folder)
    problem = None if broken is None else f"line {broken.line} {broken.why}"
    return as_json({"items": items, "verified": broken is None, "problem": problem})


# --- streams -----------------------------------------------------------------------------------


@router.get(
    "/stream",
    response_class=Response,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        422: {"model": b.Problem},
        503: {"model": b.Problem},
    },
)
async def stream(
    request: Request,
    desk: At,
    user: Asking,
    domain: Names = None,
    sign: Names = None,
    key_level: Names = None,
    under: Under = "",
    what: Annotated[
        str,
        Query(pattern="^[a-z,]{1,40}$", description="Of signs, alerts, status, with commas."),
    ] = "signs,alerts",
    alerts: Annotated[
        Literal["chosen", "all"],
        Query(description="Those of the same choice as the signs, or all there are."),
    ] = "chosen",
    last: Annotated[
        str | None,
        Query(alias="last_event_id", description="As the header, for who can set none."),
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="Number of the last transition that was seen.")
    ] = None,
) -> Response:
    """Server-sent events: signs that change, transitions of alerts, accounting.

    A client that connects again with its last id gets every transition it missed, once.
    """
    seen_last = last_event_id or last
    hub, city = desk.service.hub, desk.service.city
    wanted = frozenset(what.split(",")) - {""}
    if not wanted or wanted - {"signs", "alerts", "status"}:
        hint = "give signs, alerts or status, with commas between"
        raise RefusedError(422, "bad_what", "没有此内容", "no such content", hint)
    if len(hub.clients) >= desk.most_streams:
        hint = "close some, or raise gateway.connections"
        raise RefusedError(503, "too_many_streams", "连接过多", "too many streams", hint)
    # Which number is the next one is known when the log was read.
    await desk.service.became_ready.wait()
    cursor, resumed = city.next_number, False
    if seen_last and re.fullmatch(r"-1|[0-9]{1,18}", seen_last):
        seen = int(seen_last) + 1
        if seen <= city.next_number:
            cursor, resumed = seen, True
    address = request.client.host if request.client else "?"
    client = Client(
        choice_of(domain, sign, key_level, under),
        wanted,
        cursor,
        Choice() if alerts == "all" else None,
        f"{user.name} at {address}",
        taken=getattr(request.state, "taken", lambda: None),
    )
    return EventSourceResponse(hub.stream(client, resumed), ping=3600, sep="\n")
