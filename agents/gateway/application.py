"""The gateway's application: routes, what stands before them, documents, the page."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from agents.gateway.bodies import AccountingAnswer
from agents.gateway.desk import Desk, RefusedError
from agents.gateway.routes import router
from agents.gateway.service import Service
from agents.gateway.web import App, Guard, refusal
from agents.gateway.wire import Packed
from schemas.alert import Alert
from schemas.asyncapi import asyncapi, components
from schemas.configuration import Configuration
from schemas.deadletter import DeadLetter
from schemas.gateway import Gateway
from schemas.stream import add_stream, as_list
from schemas.vital import VitalResult

STATIC = Path(__file__).parent / "static"
log = logging.getLogger("cityvitals.gateway")

_LISTS = {"/signs": "VitalResult", "/alerts": "Alert"}


class Counts(Collector):
    """What the gateway tells Prometheus."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> list[Metric]:
        hub, city, keeper = self._service.hub, self._service.city, self._service.keeper
        kept = 0 if keeper is None else keeper.kept
        gauges = {
            "streams": ("Streams that are open", len(hub.clients)),
            "signs": ("Keys with a result", len(city.results)),
            "alerts": ("Alerts that are known", len(city.alerts)),
        }
        counters = {
            "frames": ("Frames that were sent", hub.sent),
            "frames_lost": ("Frames that slow streams lost", hub.lost),
            "streams_cut": ("Streams that took nothing for too long", hub.cuts),
            "refused": ("Records that could not be read", city.refused),
            "history_results": ("Results kept in the history", kept),
        }
        found: list[Metric] = []
        for name, (text, value) in gauges.items():
            found.append(GaugeMetricFamily(f"cityvitals_gateway_{name}", text, value))
        for name, (text, value) in counters.items():
            found.append(CounterMetricFamily(f"cityvitals_gateway_{name}", text, value))
        text = "Whether a part does not work just now; /accounting says why"
        trouble = GaugeMetricFamily("cityvitals_gateway_trouble", text, labels=["part"])
        for part, why in self._service.troubles().items():
            trouble.add_metric([part], float(why is not None))
        found.append(trouble)
        return found


def registry_of(service: Service) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Counts(service))
    return registry


def build(desk: Desk, settings: Gateway, hosts: tuple[str, ...]) -> App:
    """The application that a server runs, for these settings and names of the host."""
    api = FastAPI(
        title="City Vitals",
        version=version("cityvitals"),
        description="Vital signs and alerts of a city: newest, history, live.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan(desk.service),
    )
    api.state.desk = desk
    api.include_router(router)
    _answer_errors(api)
    _add_documents(api, desk)
    page = _Page(StaticFiles(directory=STATIC, html=True, check_dir=False))
    return Guard(
        Packed(api),
        page,
        desk.keys,
        hosts=hosts,
        origins=frozenset(settings.origins),
        body_bytes=settings.body_bytes,
        requests_per_s=settings.requests_per_s,
    )


def _lifespan(service: Service) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    return lifespan


class _Page:
    """The static files: asked for anew each time, and answered by their tags."""

    def __init__(self, files: StaticFiles) -> None:
        self._files = files

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"cache-control", b"no-cache")]
            await send(message)

        try:
            await self._files(scope, receive, sending)
        except HTTPException as error:
            code = "not_found" if error.status_code == 404 else "wrong_method"
            status, body = refusal(code)
            await Response(body, status, media_type="application/json")(scope, receive, send)


def _answer_errors(api: FastAPI) -> None:
    @api.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> Response:
        return Response(orjson.dumps(error.body), error.status, media_type="application/json")

    @api.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        # Where and what, nothing of the content.
        told = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        body = {
            "error": "invalid",
            "message_zh": "参数不符",
            "message": "the request is not as it must be",
            "hint": "; ".join(told)[:1000],
        }
        return Response(orjson.dumps(body), 422, media_type="application/json")

    @api.exception_handler(HTTPException)
    async def plain(_: Request, error: HTTPException) -> Response:
        codes = {405: "wrong_method", 413: "too_large", 400: "unreadable"}
        status, body = refusal(codes.get(error.status_code, "not_found"))
        return Response(body, status, media_type="application/json")


def openapi_of(api: FastAPI) -> dict[str, Any]:
    """The document, with the types of the topics where records are passed on as they stand."""
    document: dict[str, Any] = get_openapi(
        title=api.title, version=api.version, description=api.description, routes=api.routes
    )
    schemas = document["components"]["schemas"]
    schemas.update(components([VitalResult, Alert, DeadLetter]))
    time = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    for path, name in _LISTS.items():
        item = {"$ref": f"#/components/schemas/{name}"}
        told = {
            "as_of": time,
            "now": {"type": "integer"},
            "items": {"type": "array", "items": item},
        }
        if path == "/alerts":
            told["total"] = {"type": "integer"}
        _answers(document, path, _object(**told))
        content = document["paths"][path]["get"]["responses"]["200"]["content"]
        content["text/csv"] = {"schema": {"type": "string"}}
    alert = {"$ref": "#/components/schemas/Alert"}
    alerts = {"type": "array", "items": alert}
    one = _object(alert=alert, transitions=alerts, suppressed=alerts)
    _answers(document, "/alerts/{alert_id}", one)
    result = {"$ref": "#/components/schemas/VitalResult"}
    _answers(document, "/signs/{sign}/{key_level}/{key}", result)
    letters = {"type": "array", "items": {"$ref": "#/components/schemas/DeadLetter"}}
    counts = {"type": "object", "additionalProperties": {"type": "integer"}}
    texts = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    examples = {"type": "object", "additionalProperties": texts}
    told = _object(items=letters, reasons=counts, examples=examples)
    _answers(document, "/deadletters", told)
    history = document["paths"]["/history"]["get"]["responses"]["200"]["content"]
    history["text/csv"] = {"schema": {"type": "string"}}
    stream = document["paths"]["/stream"]["get"]
    stream["description"] += f"\n\n{as_list(AccountingAnswer.__name__)}"
    stream["description"] += "\n\nTheir payloads are in /asyncapi.json, channel `stream`."
    _tell_refusals(document)
    return document


def asyncapi_of(configuration: Configuration, version: str) -> dict[str, Any]:
    """The document of the topics, and of what streams tell."""
    document = asyncapi(configuration, version)
    name = AccountingAnswer.__name__
    body = AccountingAnswer.model_json_schema(ref_template="#/components/schemas/{model}")
    add_stream(document, name, {**body.pop("$defs"), name: body})
    return document


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _answers(document: dict[str, Any], path: str, schema: dict[str, Any]) -> None:
    responses = document["paths"][path]["get"]["responses"]
    responses["200"]["content"] = {"application/json": {"schema": schema}}


def _tell_refusals(document: dict[str, Any]) -> None:
    """What every route may answer, how one shows a token, and that 422 is a problem like others."""
    problem = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    words = {
        "401": "No token, or none that is known",
        "403": "Not for this role, or from another site",
        "413": "The body is too large",
        "421": "Another host is named",
        "422": "The request is not as it must be",
        "429": "Too many requests",
        "431": "The head of the request is too large",
    }
    for path in document["paths"].values():
        for operation in path.values():
            responses = operation["responses"]
            for status, text in words.items():
                responses[status] = {"description": text, "content": problem}
            for name in ("signs", "one_sign", "catalogue"):
                if operation["operationId"].startswith(f"{name}_"):
                    responses["304"] = {"description": "As it was"}
    schemes = {"token": {"type": "http", "scheme": "bearer"}}
    document["components"]["securitySchemes"] = schemes
    document["security"] = [{"token": []}]
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)


def _add_documents(api: FastAPI, desk: Desk) -> None:
    made: dict[str, bytes] = {}

    @api.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        if "openapi" not in made:
            made["openapi"] = orjson.dumps(openapi_of(api))
        return Response(made["openapi"], media_type="application/json")

    @api.get("/asyncapi.json", include_in_schema=False)
    async def topics() -> Response:
        if "asyncapi" not in made:
            made["asyncapi"] = orjson.dumps(asyncapi_of(desk.configuration, api.version))
        return Response(made["asyncapi"], media_type="application/json")
