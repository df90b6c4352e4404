"""Answers that take long to write are written beside the streams, not between them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Response

from agents.gateway import alert_routes, answers, routes
from agents.gateway.city import LiveCity
from tests.gateway.results import START, encoded, result


def desk() -> Any:
    city = LiveCity({})
    city.take_results([(b"key", encoded(result(START)))])
    columns = {"t": [START], "value": [1.5]}
    return SimpleNamespace(
        service=SimpleNamespace(city=city, now=START),
        history=lambda *_: columns,
        salt="",
        of_lanes={},
    )


WAYS: dict[str, Callable[[], Awaitable[Response]]] = {
    "signs": lambda: routes.signs(desk(), form="csv"),
    "history": lambda: routes.history(desk(), "drain.depth", "district", "440111", form="csv"),
    "alerts": lambda: alert_routes.alerts(desk(), form="csv"),
}


@pytest.mark.parametrize("way", WAYS)
def test_csv_is_written_by_a_thread_of_its_own(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, writers = answers.as_csv, list[int]()

    def watched(rows: Any, columns: Any) -> bytes:
        writers.append(threading.get_ident())
        return plain(rows, columns)

    monkeypatch.setattr(answers, "as_csv", watched)

    async def ask() -> tuple[Response, int]:
        return await WAYS[way](), threading.get_ident()

    answer, of_loop = asyncio.run(ask())
    assert answer.status_code == 200
    assert writers
    assert of_loop not in writers
