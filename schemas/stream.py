"""What a stream of the gateway tells: its server-sent events, each with its payload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

_RESULT, _ALERT = "#/components/schemas/VitalResult", "#/components/schemas/Alert"
_TIME = {"type": "integer", "description": "int64 ms UTC"}
_COUNT = {"type": "integer", "minimum": 0}


class Event(NamedTuple):
    """An event by its name."""

    name: str
    text: str
    payload: dict[str, Any]
    example: Any = None


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def events(status: str) -> tuple[Event, ...]:
    """The events of a stream.

    Parameters
    ----------
    status
        Name of the schema of the accounting.
    """
    return (
        Event(
            "hello",
            "The first of each stream. Its id is the number of the newest transition there was; "
            "`resumed` says whether the stream goes on behind the id that the client gave.",
            _object(
                now=_TIME,
                as_of={"anyOf": [_TIME, {"type": "null"}]},
                resumed={"type": "boolean"},
            ),
            {"now": 1772402520123, "as_of": 1772402460000, "resumed": False},
        ),
        Event(
            "signs",
            "Results: first the newest of each key that is asked for, then those that changed. "
            "What came of a key before is replaced.",
            {"type": "array", "items": {"$ref": _RESULT}},
        ),
        Event(
            "alert",
            "A transition of an alert, once and in order. Its id is the number of the transition: "
            "give the last one as `Last-Event-ID`, or `last_event_id`, to go on behind it.",
            {"$ref": _ALERT},
        ),
        Event(
            "status",
            "What GET /accounting answers, at most once a second.",
            {"$ref": f"#/components/schemas/{status}"},
        ),
        Event(
            "gap",
            "The client read too slowly, or gave an id that is too old: so many results and "
            "transitions are left out. The newest of all signs follows; of alerts ask GET /alerts.",
            _object(signs=_COUNT, alerts=_COUNT),
            {"signs": 214, "alerts": 0},
        ),
        Event(
            "bye",
            "The last of a stream that the gateway ends, and why; connect again.",
            _object(reason={"type": "string"}),
            {"reason": "took nothing for 30 s"},
        ),
    )


def as_list(status: str) -> str:
    """The events as a list in Markdown."""
    return "\n".join(f"- `{event.name}`: {event.text}" for event in events(status))


def add_stream(
    document: dict[str, Any], status: str, schemas: Mapping[str, Mapping[str, Any]]
) -> None:
    """Add the channel of the stream to an AsyncAPI document that has results and alerts.

    Parameters
    ----------
    status, schemas
        Name of the schema of the accounting, and that schema with those it refers to.
    """
    components = document["components"]
    components["schemas"].update(schemas)
    references = {}
    for event in events(status):
        id = f"stream-{event.name}"
        message: dict[str, Any] = {
            "name": event.name,
            "summary": event.text,
            "contentType": "application/json",
            "payload": event.payload,
        }
        if event.example is not None:
            message["examples"] = [{"payload": event.example}]
        components["messages"][id] = message
        references[event.name] = {"$ref": f"#/components/messages/{id}"}
    document["channels"]["stream"] = {
        "address": "/stream",
        "description": "Server-sent events of the gateway (GET /stream in /openapi.json): `event` "
        "is the name of a message, `data` its payload in one line. After 15 s without any a "
        "comment is sent.",
        "messages": references,
    }
    document["operations"]["send-stream"] = {
        "action": "send",
        "channel": {"$ref": "#/channels/stream"},
        "summary": "signs that change, transitions of alerts, accounting",
    }
