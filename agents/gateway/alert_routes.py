"""The routes of alerts, of marks on them, and of events that come in."""

from __future__ import annotations

import asyncio
import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from agents.commanding import command_of
from agents.gateway import answers
from agents.gateway import bodies as b
from agents.gateway.access import User
from agents.gateway.city import rank
from agents.gateway.desk import (
    NAMES,
    NO_LOG,
    Asking,
    At,
    Desk,
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
    when_ready,
)
from agents.gateway.events import MOST_LINES, UnknownInputError, with_offsets
from agents.outputs import CONTROL
from agents.recordings import Emitted
from schemas.command import CommandKind
from schemas.encoding import encode
from schemas.refusal import Refused

router = APIRouter(dependencies=[Depends(require_known), Depends(when_ready)])
_TOLD: dict[int | str, dict[str, Any]] = {404: {"model": b.Problem}, 503: {"model": b.Problem}}


# --- alerts ------------------------------------------------------------------------------------


@router.get("/alerts", responses={503: {"model": b.Problem}})
async def alerts(
    desk: At,
    state: Literal["standing", "cleared", "all"] = "standing",
    level: Annotated[int, Query(ge=0, le=4, description="The least.")] = 0,
    max_level: Annotated[
        int, Query(ge=0, le=4, description="The least of the worst that it ever had.")
    ] = 0,
    since: Annotated[
        int, Query(ge=0, le=1 << 52, description="Of which something was said since; int64 ms.")
    ] = 0,
    rule: Names = None,
    domain: Names = None,
    kind: Names = None,
    key_level: Names = None,
    under: Under = "",
    acked: bool | None = None,
    shelved: bool | None = None,
    suppressed: bool | None = None,
    order: Annotated[
        Literal["rank", "newest"], Query(description="The worst first, or the newest.")
    ] = "rank",
    limit: Limit = 1000,
    form: Form = "json",
) -> Response:
    """Alerts as they stand: the worst first, what is over, suppressed or shelved last.

    ``total`` says how many there are, whatever the limit.
    """
    service = desk.service
    city, now = service.city, service.now
    choice, kinds = choice_of(domain, rule, key_level, under), set((kind or "").split(",")) - {""}

    def wanted(alert: dict[str, Any]) -> bool:
        name, place = alert["rule"], alert["place"] or ""
        of = city.domains.get(name, name.partition(".")[0])
        return (
            (state == "all" or (alert["state"] == "cleared") == (state == "cleared"))
            and alert["level"] >= level
            and alert["max_level"] >= max_level
            and alert["t_update"] >= since
            and (not kinds or alert["kind"] in kinds)
            and (not choice.signs or name in choice.signs)
            and (not choice.domains or of in choice.domains)
            and (not choice.key_levels or alert["key_level"] in choice.key_levels)
            and place.startswith(under)
            and acked in (None, alert["acked"])
            and shelved in (None, (alert["shelved_until"] or 0) > now)
            and suppressed in (None, alert["suppressed_by"] is not None)
        )

    found = [alert for alert in city.alerts.values() if wanted(alert)]
    if order == "newest":
        found.sort(key=lambda alert: (-alert["t_update"], alert["alert_id"]))
    else:
        found.sort(key=lambda alert: rank(alert, now))
    total, items = len(found), found[:limit]
    if form == "csv":
        told = {"x-total-count": str(total)}
        body = await asyncio.to_thread(answers.as_csv, items, answers.ALERT_COLUMNS)
        return as_csv(body, "alerts.csv", told)
    return as_json({"as_of": city.as_of, "now": now, "total": total, "items": items})


def _standing(desk: Desk, alert_id: str) -> dict[str, Any]:
    """The alert of an id, or of the beginning of one that no other has."""
    alerts = desk.service.city.alerts
    found = [alert_id] if alert_id in alerts else [a for a in alerts if a.startswith(alert_id)]
    if len(found) == 1:
        return alerts[found[0]]
    hint = "GET /alerts?state=all lists those there are"
    if found:
        hint = f"{len(found)} alerts begin so: give more of the id"
    raise RefusedError(404, "no_such_alert", "没有此报警", "no such alert", hint)


@router.get("/alerts/{alert_id}", responses=_TOLD)
async def one_alert(desk: At, alert_id: str) -> Response:
    """An alert with its transitions, as far as the log goes back, and those it suppresses."""
    alert, city = _standing(desk, alert_id), desk.service.city
    alert_id = alert["alert_id"]
    try:
        transitions = await desk.service.transitions_of(alert)
    except NO_LOG as error:
        raise no_log(error, reads=True) from error
    return as_json(
        {
            "alert": alert,
            "transitions": transitions,
            "suppressed": [a for a in city.alerts.values() if a["suppressed_by"] == alert_id],
        }
    )


_MARKED: dict[int | str, dict[str, Any]] = {
    404: {"model": b.Problem},
    409: {"model": b.Problem},
    503: {"model": b.Problem},
}


async def _mark(
    desk: Desk, user: User, alert_id: str, kind: CommandKind, body: b.Mark
) -> dict[str, str]:
    alert = _standing(desk, alert_id)
    alert_id = alert["alert_id"]
    if alert["state"] == "cleared":
        hint = "nothing is to be done about it any more"
        raise RefusedError(409, "over", "报警已解除", "the alert is over", hint)
    of_device = alert["key_level"] == "device" and alert["rule"] in desk.of_lanes
    if of_device and not desk.service.feed.marks_devices:
        hint = "the partition its device reports to judges it by itself: workers mark no such alert"
        raise RefusedError(409, "alert_of_lane", "不能标记", "it takes no such mark", hint)
    minutes = body.minutes if isinstance(body, b.Shelve) else None
    # The city's clock, not behind what the alert itself has seen.
    now, id = max(desk.service.now, alert["t_update"]), uuid.uuid4().hex
    try:
        command = command_of(kind, alert, body.name, body.reason, minutes, now, id)
    except Refused as refused:
        zh, en = "不能标记", "it takes no such mark"
        raise RefusedError(409, refused.code, zh, en, str(refused)) from refused
    record = Emitted(0, CONTROL, 0, alert_id.encode(), encode(command))
    # Who did it is on record before it is done.
    await note(desk, user, kind, alert_id, body.model_dump())
    try:
        await asyncio.to_thread(desk.service.feed.put, [record])
    except NO_LOG as error:
        await note(desk, user, f"{kind}_failed", alert_id, {})
        raise no_log(error) from error
    return {"command": id}


@router.post("/alerts/{alert_id}/ack", status_code=202, response_model=b.Taken, responses=_MARKED)
async def ack(desk: At, user: Asking, alert_id: str, body: b.Mark) -> dict[str, str]:
    """Say that somebody sees to it; the mark stands in the alert from the next window on."""
    return await _mark(desk, user, alert_id, "ack", body)


@router.post("/alerts/{alert_id}/unack", status_code=202, response_model=b.Taken, responses=_MARKED)
async def unack(desk: At, user: Asking, alert_id: str, body: b.Mark) -> dict[str, str]:
    """Take an acknowledgement back."""
    return await _mark(desk, user, alert_id, "unack", body)


@router.post(
    "/alerts/{alert_id}/shelve", status_code=202, response_model=b.Taken, responses=_MARKED
)
async def shelve(desk: At, user: Asking, alert_id: str, body: b.Shelve) -> dict[str, str]:
    """Put an alert aside for some minutes."""
    return await _mark(desk, user, alert_id, "shelve", body)


@router.post(
    "/alerts/{alert_id}/unshelve", status_code=202, response_model=b.Taken, responses=_MARKED
)
async def unshelve(desk: At, user: Asking, alert_id: str, body: b.Mark) -> dict[str, str]:
    """Take an alert back from the shelf."""
    return await _mark(desk, user, alert_id, "unshelve", body)


# --- events ------------------------------------------------------------------------------------


@router.post(
    "/events",
    response_class=Response,
    responses={404: {"model": b.Problem}, 413: {"model": b.Problem}, 503: {"model": b.Problem}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        }
    },
)
async def events(
    desk: At, user: Asking, request: Request, topic: Annotated[str, Query(pattern=NAMES)]
) -> Response:
    """Take events, one JSON object a line; answers each line by JSON of its own."""
    try:
        desk.door.require(topic)
    except UnknownInputError as error:
        zh, en = "没有此输入主题", "no such input topic"
        raise RefusedError(404, "no_such_topic", zh, en, str(error)) from error
    body = await request.body()
    if body.count(b"\n") > MOST_LINES:
        hint = f"send at most {MOST_LINES:,} lines at once"
        raise RefusedError(413, "too_large", "行数过多", "too many lines", hint)
    try:
        records, told = await asyncio.to_thread(desk.door.check, topic, body)
    except NO_LOG as error:
        raise no_log(error) from error
    refused = len(told) - len(records)
    # Who sent them is on record before they are there.
    await note(desk, user, "events", topic, {"accepted": len(records), "refused": refused})
    try:
        offsets = await asyncio.to_thread(desk.service.feed.put, records) if records else []
    except NO_LOG as error:
        await note(desk, user, "events_failed", topic, {"not_taken": len(records)})
        raise no_log(error) from error
    answer = answers.lines(with_offsets(told, offsets))
    return Response(answer, media_type="application/x-ndjson")
