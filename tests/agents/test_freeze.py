"""A task goes on from what a store kept of its freezes as if it had never been broken."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.engine import Engine
from agents.lanes import LaneTask
from agents.metrics import Metrics
from agents.outputs import LOGS
from agents.pipeline import Pipeline
from agents.plan import Plan, compile_plan
from streams import frozen
from streams.frozen import FORMAT, HEAD, Frozen, SnapshotError
from streams.log_store import LogStore
from streams.records import Chunk, Lane, Output, split
from tests.kept import Parts, all_kept, encoded, kept
from tests.rules.city_logs import chopped, city_lanes, city_plan
from tests.rules.configurations import CALENDAR, FULL
from tests.rules.logs import Writer, chunks_of

T = 1_772_294_400_000
PLANS = {"minutes": (compile_plan(FULL), 12_000), "days": (compile_plan(CALENDAR), 900_000)}


@contextmanager
def blocks_of(rows: int) -> Iterator[None]:
    """Blocks so small that there are many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frozen, "BLOCK", rows)
        patch.setattr(frozen, "_ROWS", rows)
        yield


def log_of(plan: Plan, rng: Random, unit: int) -> list[Chunk]:
    """A small log, its lanes taken in turns."""
    written = Writer(rng, T, unit, 25 * unit).write(plan.configuration, 120)
    waiting, mixed = chunks_of(written), list[Chunk]()
    while waiting:
        chunk = waiting.pop(rng.randrange(len(waiting)))
        if len(chunk) > 3:
            chunk, rest = split(chunk, rng.randrange(1, min(9, len(chunk))))
            waiting.append(rest)
        mixed.append(chunk)
    return mixed


def unbroken(plan: Plan, chunks: list[Chunk], ended: int) -> tuple[list[Output], dict[str, Parts]]:
    """What a log says that ends once in the middle, and the state it leaves."""
    pipeline, outputs = Pipeline(plan), list[Output]()
    for at, chunk in enumerate(chunks):
        outputs += pipeline.end() if at == ended else []
        outputs += pipeline.step(chunk)
    outputs += pipeline.end()
    return outputs, all_kept({}, pipeline.freeze(whole=True))


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(
    st.randoms(use_true_random=False), st.sampled_from(sorted(PLANS)), st.sampled_from([2, 16_384])
)
def test_outputs_and_state_are_those_of_the_unbroken_run(rng: Any, name: str, block: int) -> None:
    plan, unit = PLANS[name]
    chunks = log_of(plan, rng, unit)
    ended = rng.randrange(2 * len(chunks))
    pipeline, found = Pipeline(plan), list[Output]()
    tasks: dict[str, Parts] = {}
    taken: dict[str, Frozen] = {}
    with blocks_of(block):
        for at, chunk in enumerate(chunks):
            found += pipeline.end() if at == ended else []
            found += pipeline.step(chunk)
            # Some are encoded only now, when the tasks have gone on.
            tasks, taken = all_kept(tasks, taken), {}
            draw = rng.randrange(6)
            if draw < 3:
                taken = pipeline.freeze(whole=draw == 0)
            if draw < 2:
                tasks, taken = all_kept(tasks, taken), {}
                pipeline = Pipeline(plan)
                pipeline.load(tasks)
        found += pipeline.end()
        outputs, state = unbroken(plan, chunks, ended)
        assert found == outputs
        assert unnumbered(all_kept({}, pipeline.freeze(whole=True))) == unnumbered(state)


def unnumbered(tasks: dict[str, Parts]) -> dict[str, Any]:
    """State without the parts in which keys have numbers: after a restart they are met in another
    order.  Nothing that is said depends on it.
    """
    numbered = ("/keys/", "/pane/", "/late/")
    return {
        task: {n: p for n, p in parts.items() if not any(word in f"/{n}" for word in numbered)}
        for task, parts in tasks.items()
    }


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(
    st.randoms(use_true_random=False), st.sampled_from(sorted(PLANS)), st.sampled_from([2, 16_384])
)
def test_a_freeze_is_of_one_moment(rng: Any, name: str, block: int) -> None:
    """Encoded later it is the same; added to those before it is the whole; loaded it is itself."""
    plan, unit = PLANS[name]
    pipeline = Pipeline(plan)
    with blocks_of(block):
        tasks = all_kept({}, pipeline.freeze(whole=True))
        for chunk in log_of(plan, rng, unit):
            if rng.randrange(4) == 0:
                taken = pipeline.freeze()
                at_once = {task: encoded(parts) for task, parts in taken.items()}
                tasks = all_kept(tasks, taken)
                assert all_kept({}, pipeline.freeze(whole=True)) == tasks
                again = Pipeline(plan)
                again.load(tasks)
                assert all_kept({}, again.freeze(whole=True)) == tasks
                pipeline.step(chunk)
                assert {task: encoded(parts) for task, parts in taken.items()} == at_once
            else:
                pipeline.step(chunk)


@pytest.mark.parametrize("lane", [Lane("city.sensor.v1", 1), Lane("city.traffic.v1", 0)], ids=str)
def test_a_lane_writes_little_between_two_cuts(lane: Lane) -> None:
    task, parts, calm = LaneTask(city_plan(), lane), Parts(), list[set[str]]()
    for chunk in chopped(city_lanes()[lane], 1):
        cuts = [cut for step in task.step(chunk) for cut in step.cuts]
        taken = task.freeze()
        parts = kept(parts, taken)
        if not cuts:
            calm.append(set(encoded(taken)))
    assert len(calm) > 50
    assert not [name for names in calm for name in names if "/pane/" in name or "/late/" in name]
    # A part for the rows of each sign that heard something, and some for its keys at first.
    assert max(map(len, calm)) < 30
    assert sorted(map(len, calm))[len(calm) // 2] < 12
    assert task.progress == (task.intake.next_offset, 0)
    again = LaneTask(city_plan(), lane)
    again.load(parts)
    assert again.progress == task.progress
    assert {name for name, part in again.freeze().items() if part is not None} == {HEAD}


def filled(folder: Path) -> LogStore:
    store = LogStore(folder)
    Engine(city_plan(), store, Metrics()).open()
    with store.transaction() as tx:
        for lane, chunk in city_lanes().items():
            tx.append(*lane, chunk.timestamps, chunk.keys, chunk.values)
    return store


def unpacked(store: LogStore) -> dict[str, Parts]:
    unpack = zstandard.ZstdDecompressor().decompress
    return {
        task: {name: unpack(part) for name, part in parts.items()}
        for task, parts in store.saved_tasks().items()
    }


def test_the_log_keeps_exactly_the_last_freeze(tmp_path: Path) -> None:
    """Parts that are gone once stayed, and a restart brought closed panes back."""
    store = filled(tmp_path)
    engine = Engine(city_plan(), store, Metrics())
    engine.open()

    async def go() -> None:
        for lane in city_plan().lanes:
            while chunks := store.read(*lane, engine.position(lane), max_records=700):
                await engine.take(chunks[0])
                await engine.checkpoint()

    asyncio.run(go())
    saved, whole = unpacked(store), all_kept({}, engine.pipeline.freeze(whole=True))
    assert len(saved) > 8
    assert saved == {task: whole[task] for task in saved}
    again = Engine(city_plan(), store, Metrics())
    again.open()
    assert again.pipeline.total() == engine.pipeline.total()
    assert again.pipeline.positions() == engine.pipeline.positions()
    store.close()


def test_a_folder_of_an_older_layout_is_refused(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    state = {"format": 1, "config": city_plan().config, "state": {"next_offset": 0}}
    packed = zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(state))
    with store.transaction() as tx:
        tx.save_snapshot("city.sensor.v1/0", packed)
        tx.save_snapshot("assess/0", packed)
    with pytest.raises(SnapshotError, match=f"has layout 1, this build writes {FORMAT}"):
        Engine(city_plan(), store, Metrics()).open()
    assert all(store.end_offset(name, 0) == 0 for name in LOGS)
    store.close()
