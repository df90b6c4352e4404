"""Who learns the token of a folder, and how long a session lets somebody in."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from agents.commands.page import Page
from schemas.gateway import Gateway
from tests.gateway.running import Running, copied, folder_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("token") / "data")


def test_the_token_is_printed_once_and_where_it_is_asked_for(folder: Path, tmp_path: Path) -> None:
    data = copied(folder, tmp_path / "data")
    told = []
    for more in ((), (), ("--show-token",)):
        running = Running("--data", data, "--port", 0, *more, show_token=False)
        running.wait_ready()
        running.end()
        told.append((running.token, b"".join(running.told).decode()))
    token = (data / "gateway" / "token").read_text().strip()
    assert [one for one, _ in told] == [token, "", token]
    assert token not in told[1][1]
    assert f"token    in {data / 'gateway' / 'token'}; --show-token prints it" in told[1][1]


def test_a_run_tells_the_token_of_its_page_once(tmp_path: Path) -> None:
    told = []
    for show in (False, False, True):
        page = Page(Gateway(port=0), tmp_path, show_token=show)
        told.append("#token=" in page.told)
        page.close()
    assert told == [True, False, True]


def test_a_terminal_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    for _ in range(2):
        page = Page(Gateway(port=0), tmp_path)
        assert "#token=" in page.told
        page.close()


def test_who_logs_out_ends_the_session(folder: Path, tmp_path: Path) -> None:
    running = Running("--data", copied(folder, tmp_path / "data"), "--port", 0)
    try:
        running.wait_ready()
        with httpx.Client(base_url=running.url) as one, httpx.Client(base_url=running.url) as two:
            for browser in (one, two):
                browser.post("/session", json={"token": running.token})
            kept = dict(one.cookies)
            assert one.delete("/session").status_code == 204
            assert two.get("/session").status_code == 200
        with httpx.Client(base_url=running.url, cookies=kept) as other:
            assert other.get("/session").status_code == 401
    finally:
        running.end()
