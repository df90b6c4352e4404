"""``python -m tests.page.screenshots FOLDER``: the five views, two of them on a telephone too."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.page.conftest import Visit
from tests.page.product import Product, chromium, product

DESK = {"viewport": {"width": 1440, "height": 1800}}
POCKET = {"viewport": {"width": 360, "height": 740}}
WORST = 2
WHOLE = ("hotline", "engine")
"""Of these everything is shown, however long."""

# What is out of sight is drawn when somebody looks at it.
LOOK = """async () => {
  const wait = () => new Promise((done) => setTimeout(done, 150));
  for (const box of [document.scrollingElement, ...document.querySelectorAll(".scroll.tall")]) {
    const step = Math.max(box.clientHeight / 2, 100);
    for (let top = 0; top < Math.min(box.scrollHeight, 6000); top += step) {
      box.scrollTop = top;
      await wait();
    }
    box.scrollTop = 0;
  }
  await wait();
}"""


def worst(run: Product) -> str:
    """The incident to show: of the worst, with the most evidence."""
    incidents = [one for one in run.standing() if one["kind"] == "incident"]
    incidents.sort(key=lambda one: (one["level"], len(one["why"]["evidence"])))
    return f"alerts/{incidents[-1]['alert_id']}" if incidents else "alerts"


def shots(run: Product) -> list[tuple[str, str, dict[str, Any]]]:
    """Name, view and browser of each picture."""
    zh, dark = {"locale": "zh-CN"}, {"color_scheme": "dark"}
    return [
        ("city", "city", DESK),
        ("alerts", worst(run), DESK | zh),
        ("hotline", "hotline", DESK | zh),
        ("sensing", "sensing", DESK),
        ("engine", "engine", DESK | dark),
        ("city-360", "city", POCKET | zh),
        ("alerts-360", "alerts", POCKET | dark),
    ]


def acknowledge(run: Product) -> None:
    """Somebody sees to a district, so that a mark and the audit log can be shown."""
    district = [one for one in run.standing() if one["key_level"] == "district"]
    mark = json.dumps({"name": "duty desk", "reason": "pumps are on their way"}).encode()
    run.ask(f"/alerts/{district[0]['alert_id']}/ack", mark, "application/json")


def take(folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, product(Path(data) / "data", speed=5) as run:
        run.wait_for(
            "incident and an index",
            lambda: (
                sum(one["kind"] == "incident" for one in run.standing()) >= WORST
                and not run.ask("/accounting")["behind"]
            ),
            300,
        )
        acknowledge(run)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
            for name, where, options in shots(run):
                visit = Visit(browser, run, **options)
                page = visit.open(where)
                page.wait_for_timeout(2000)
                page.evaluate(LOOK)
                page.wait_for_timeout(1000)
                if name in WHOLE:
                    height = page.evaluate("document.documentElement.scrollHeight")
                    page.set_viewport_size({"width": 1440, "height": height})
                    page.wait_for_timeout(1000)
                page.screenshot(path=folder / f"{name}.png")
                visit.context.close()
            browser.close()
    # Fewer colours make a picture a third as large.
    if shutil.which("pngquant"):
        pictures = map(str, sorted(folder.glob("*.png")))
        subprocess.run(["pngquant", "--force", "--ext", ".png", "--skip-if-larger", *pictures])


if __name__ == "__main__":
    take(Path(sys.argv[1]))
