"""The examples for dashboard builders, as the README runs them."""

from __future__ import annotations

import functools
import http.server
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer

from agents.outputs import VITALS_LOG
from tests.gateway.running import folder_of, gateway
from tests.kafka.broker import Broker
from tests.kafka.test_broker import create
from tests.page.product import chromium

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"


@pytest.fixture
def board() -> Iterator[str]:
    """The origin at which the example page is served."""
    handler = functools.partial(_Quiet, directory=str(EXAMPLES))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.mark.browser
def test_a_page_of_ones_own_shows_a_district(board: str, tmp_path: Path) -> None:
    found = chromium()
    if found is None:
        assert not os.environ.get("CI"), "there is no Chromium"
        pytest.skip("there is no Chromium")
    from playwright.sync_api import sync_playwright

    config = tmp_path / "board.yaml"
    config.write_text(f'gateway: {{origins: ["{board}"]}}\n')
    data = folder_of(tmp_path / "data", config=config)
    with gateway("--data", data, "--port", 0) as running, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{board}/board.html#{running.url}/#token={running.token}")
        page.wait_for_selector("tr", timeout=30_000)
        rows = page.locator("tr").all_inner_texts()
        browser.close()
    with gateway("--data", data, "--port", 0) as running, running.client() as client:
        params = {"under": "440111", "key_level": "district"}
        said = client.get("/signs", params=params).json()["items"]
    assert len((EXAMPLES / "board.html").read_text().splitlines()) <= 20
    assert {row.split("\t")[0] for row in rows} == {one["vital"] for one in said}


@pytest.mark.kafka
def test_a_consumer_keeps_each_window_once(broker: Broker, tmp_path: Path) -> None:
    def result(t_end: int, rev: int, value: float | None) -> bytes:
        return orjson.dumps(
            {"vital": "air.pm25_1h", "key_level": "district", "key": "440111", "t_end": t_end,
             "rev": rev, "value": value, "level": None, "reason": None}
        )  # fmt: skip

    create(broker.client(), VITALS_LOG)
    said = [result(60, 0, 1.0), result(120, 0, 2.0), result(60, 1, 1.5), result(60, 0, 1.0)]
    producer = Producer({"bootstrap.servers": broker.address})
    for value in said:
        producer.produce(VITALS_LOG, value, b"k")
    producer.flush()
    path = tmp_path / "results.db"
    command = [sys.executable, EXAMPLES / "keep_results.py", broker.address, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as consumer:
        try:
            assert consumer.stdout is not None
            told = consumer.stdout.readline()
        finally:
            consumer.kill()
    assert told == b"3 results\n"
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT t_end, rev, value FROM results ORDER BY t_end, rev").fetchall()
    db.close()
    assert rows == [(60, 0, 1.0), (60, 1, 1.5), (120, 0, 2.0)]
