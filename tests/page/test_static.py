"""The files of the page: vendored ones as released, ours small, safe and in two languages."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from schemas.loading import load
from schemas.reference import reference

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "agents" / "gateway" / "static"
VENDORED = (STATIC / "vendor", Path(__file__).parent / "vendor")
MODULES = sorted(path for path in STATIC.rglob("*.js") if path.parent.name != "vendor")
MOST_LINES = 300


@pytest.mark.parametrize("folder", VENDORED, ids=["page", "tests"])
def test_vendored_files_are_as_they_were_released(folder: Path) -> None:
    sums = dict(
        reversed(line.split()) for line in (folder / "CHECKSUMS.txt").read_text().splitlines()
    )
    found = {path.name for path in folder.iterdir()} - {"CHECKSUMS.txt"}
    assert found == set(sums)
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    assert any("LICENSE" in name for name in found)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_are_small_and_put_no_data_into_markup(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) < MOST_LINES
    risky = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    assert not re.findall(risky, text)
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_modules_are_asked_for_at_once() -> None:
    # Else a browser would find them one behind the other, and draw the later.
    named = set(re.findall(r'modulepreload" href="([^"]+)"', (STATIC / "index.html").read_text()))
    wanted = {str(path.relative_to(STATIC)) for path in MODULES} | {"vendor/uPlot.esm.js"}
    assert named == wanted - {"app.js"}


def test_the_document_has_no_inline_script_or_style() -> None:
    text = (STATIC / "index.html").read_text("utf-8")
    assert re.findall(r"<script[^>]*>([^<]*)</script>", text) == [""]
    assert not re.findall(r"<style|style=|\son\w+=|https?:", text)


def test_each_word_is_there_in_both_languages() -> None:
    used, known = set(), {}
    for path in MODULES:
        text = path.read_text("utf-8")
        used |= set(re.findall(r'\bt\("([a-z0-9_.\-]+)"', text))
        known |= {
            name: (zh, en)
            for name, zh, en in re.findall(
                r'^  "([^"]+)": \["((?:[^"\\]|\\.)*)", "((?:[^"\\]|\\.)*)"\],$', text, re.M
            )
        }
    assert len(known) > 250
    assert used <= set(known), sorted(used - set(known))
    for name, (zh, en) in known.items():
        assert zh, name
        assert en, name
        assert set(re.findall(r"\{\w+\}", zh)) == set(re.findall(r"\{\w+\}", en)), name


def test_each_source_of_thresholds_has_a_chinese_name() -> None:
    text = (STATIC / "sources.js").read_text("utf-8")
    known = dict(re.findall(r'^  "([^"]+)": "([^"]+)",$', text, re.M))
    catalogue = load(environ={})
    found = reference(catalogue)
    told = {sign["levels"]["source"] for sign in found["signs"] if "levels" in sign}
    told |= {table["source"] for table in found["tables"]}
    told |= {incident.source for incident in catalogue.incidents}
    assert set(known) == told
    assert all(known.values())


def test_each_category_of_calls_has_an_english_name() -> None:
    text = (STATIC / "names.js").read_text("utf-8")
    known = re.findall(r'"(\w+)": "[A-Z]', text[text.index("CATEGORIES") : text.index("UNITS")])
    calls = load(environ={}).hotline
    assert calls is not None
    assert set(known) == {topic.name for topic in calls.topics}
