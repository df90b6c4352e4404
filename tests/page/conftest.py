"""A run and a browser for the tests of the page; one of each for a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.page.product import Product, chromium, product


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    if chromium() is None:
        pytest.skip("no Chromium on this machine: install `chromium`")
    with product(tmp_path_factory.mktemp("page") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = chromium()
    if path is None:
        pytest.skip("no Chromium on this machine: install `chromium`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


class Visit:
    """A page in a browser of its own, and what went wrong in it.

    Parameters
    ----------
    browser
        Playwright's.
    run
        Whose page it is.
    options
        Of the browser's context: `viewport`, `locale`, `color_scheme`.
    """

    def __init__(self, browser: Any, run: Product, **options: Any) -> None:
        self.run = run
        chosen = {"viewport": {"width": 1440, "height": 900}, "locale": "en-GB"} | options
        self.context = browser.new_context(**chosen)
        self.faults: list[str] = []
        self.foreign: list[str] = []
        self.page = self.window()

    def window(self) -> Any:
        """One more page of the same browser, whose faults are heard too."""
        page = self.context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._look)
        return page

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def _look(self, request: Any) -> None:
        if not request.url.startswith((self.run.base, "data:", "blob:")):
            self.foreign.append(request.url)

    def open(self, where: str = "city") -> Any:
        """Come in by the address that the run printed, and go on to a view."""
        self.page.goto(self.run.address)
        self.page.wait_for_selector(".view .value")
        if where != "city":
            self.go(where)
        return self.page

    def go(self, where: str) -> None:
        self.page.evaluate("where => { location.hash = where }", f"#/{where}")
        self.page.wait_for_selector(".view")
        self.page.wait_for_timeout(300)


@pytest.fixture
def visit(browser: Any, run: Product, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A visit after which no error may have been told and nothing foreign been asked for."""
    visiting = Visit(browser, run, **getattr(request, "param", {}))
    yield visiting
    visiting.context.close()
    assert visiting.foreign == []
    assert visiting.faults == []


@pytest.fixture(scope="session")
def axe() -> str:
    return (Path(__file__).parent / "vendor" / "axe.min.js").read_text("utf-8")
