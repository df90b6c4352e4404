"""Processor time is counted once, by the stage that took it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from streams import spent as module
from streams.spent import ASSESS, FETCH, INTAKE, SAVE, SEND, Spent

Work = Callable[[float], None]


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Spends seconds of the time of the thread that calls it."""
    used = threading.local()

    def thread_time() -> float:
        return getattr(used, "seconds", 7.0)

    def spend(seconds: float) -> None:
        used.seconds = thread_time() + seconds

    monkeypatch.setattr(module, "time", SimpleNamespace(thread_time=thread_time))
    return spend


def test_a_stage_within_a_stage_counts_as_its_own(work: Work) -> None:
    spent = Spent()
    with spent.on(INTAKE):
        work(2)
        for _ in range(2):
            with spent.on(ASSESS):
                work(3)
                with spent.on(SAVE):
                    work(1)
        work(2)
    work(100)
    with spent.on(INTAKE):
        work(1)
    assert spent.seconds() == {FETCH: 0, INTAKE: 5, ASSESS: 6, SEND: 0, SAVE: 2}


def test_a_stage_that_fails_counts_as_far_as_it_came(work: Work) -> None:
    spent = Spent()

    def fail() -> None:
        work(2)
        raise ZeroDivisionError

    with spent.on(SAVE):
        with pytest.raises(ZeroDivisionError), spent.on(INTAKE):
            fail()
        work(1)
    assert spent.seconds() == {FETCH: 0, INTAKE: 2, ASSESS: 0, SEND: 0, SAVE: 1}


def test_threads_add_up(work: Work) -> None:
    spent = Spent()
    together = threading.Barrier(4)

    def assess() -> None:
        with spent.on(ASSESS):
            together.wait()
            work(2)
            together.wait()

    def fetch() -> None:
        work(2)
        spent.note_thread(FETCH)
        work(2)
        spent.note_thread(FETCH)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(assess) for _ in range(4)]:
            done.result(30)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(fetch).result(30)
    assert spent.seconds() == {FETCH: 11, INTAKE: 0, ASSESS: 8, SEND: 0, SAVE: 0}
