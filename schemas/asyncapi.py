"""AsyncAPI 3.0 of the topics: what stands in each of them, for those who read or write it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from schemas.accounting import LaneAccounting
from schemas.alert import Alert
from schemas.command import Command
from schemas.configuration import Configuration
from schemas.deadletter import DeadLetter
from schemas.device_vital import DeviceResults
from schemas.hotline import HotlineEvent
from schemas.late import LateEvent
from schemas.observation import Observation
from schemas.reading import Reading
from schemas.vital import VitalResult
from schemas.warning import OfficialWarning

INPUTS: dict[str, type[msgspec.Struct]] = {
    "sensor": Reading,
    "traffic": Observation,
    "hotline": HotlineEvent,
    "external": OfficialWarning,
}
OUTPUTS: dict[str, tuple[type[msgspec.Struct], str]] = {
    "city.vitals.v1": (VitalResult, "the newest result of each key; key sign|key_level|key"),
    "city.vitals-log.v1": (VitalResult, "every result; upsert by sign, key, t_end and rev"),
    "city.device-vitals.v1": (DeviceResults, "results of devices, many a record, as columns"),
    "city.alerts.v1": (Alert, "alerts as they stand; key alert_id"),
    "city.alert-log.v1": (Alert, "every transition of every alert"),
    "city.accounting.v1": (LaneAccounting, "where the events of each lane went; key lane"),
    "city.late.v1": (LateEvent, "events beyond the allowed lateness"),
    "city.deadletter.v1": (DeadLetter, "refused records: where they stand and why"),
}
_REF = "#/components/schemas/{name}"


def components(types: Iterable[type[msgspec.Struct]], template: str = _REF) -> dict[str, Any]:
    """JSON Schemas of types, by name."""
    _, schemas = msgspec.json.schema_components(types, ref_template=template)
    # msgspec puts the whole docstring there, with its parameters and examples.
    return {
        name: {**body, "description": body.get("description", "").partition("\n")[0]}
        for name, body in schemas.items()
    }


def asyncapi(configuration: Configuration, version: str) -> dict[str, Any]:
    """The document of a configuration's topics.

    Topics whose records have a shape of their own are described by it alone: what they become is an
    event of their kind.
    """
    prefix = configuration.kafka.prefix
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}

    def add(topic: str, kind: type[msgspec.Struct], action: str, summary: str) -> None:
        name, id = kind.__name__, topic.replace(".", "-")
        messages[name] = {
            "name": name,
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{name}"},
        }
        channels[id] = {
            "address": prefix + topic,
            "description": summary,
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        }
        operations[f"{action}-{id}"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{id}"},
            "summary": summary,
        }

    for topic in configuration.topics:
        shaped = "" if topic.record is None else ", in a shape of its own"
        add(topic.name, INPUTS[topic.kind], "receive", f"{topic.kind} events{shaped}")
    add("city.control.v1", Command, "receive", "marks of alerts: acknowledge, shelve, take back")
    for name, (kind, summary) in OUTPUTS.items():
        add(name, kind, "send", summary)
    types = {INPUTS[topic.kind] for topic in configuration.topics}
    types |= {Command, *(kind for kind, _ in OUTPUTS.values())}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "City Vitals",
            "version": version,
            "description": "Events go in, vital signs and alerts come out. "
            "Headers are those of CloudEvents in binary mode; `ce_id` names a record for good.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": components(sorted(types, key=lambda kind: kind.__name__)),
        },
    }
