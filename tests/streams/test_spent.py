"""Processor time is counted once, by the stage that took it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from streams.spent import ASSESS, FETCH, INTAKE, SAVE, SEND, Spent


def work(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def fail_after(seconds: float) -> None:
    work(seconds)
    raise ZeroDivisionError


def test_a_stage_within_a_stage_counts_as_its_own() -> None:
    spent = Spent()
    with spent.on(INTAKE):
        work(0.02)
        for _ in range(2):
            with spent.on(ASSESS):
                work(0.03)
                with spent.on(SAVE):
                    work(0.01)
        work(0.02)
    with spent.on(INTAKE):
        work(0.01)
    found = spent.seconds()
    assert found[INTAKE] == pytest.approx(0.05, abs=0.005)
    assert found[ASSESS] == pytest.approx(0.06, abs=0.005)
    assert found[SAVE] == pytest.approx(0.02, abs=0.005)
    assert found[SEND] == found[FETCH] == 0.0


def test_waiting_is_no_work_and_a_failure_counts() -> None:
    spent = Spent()
    with spent.on(SEND):
        time.sleep(0.05)
    with pytest.raises(ZeroDivisionError), spent.on(INTAKE):
        fail_after(0.02)
    found = spent.seconds()
    assert found[SEND] < 0.02
    assert found[INTAKE] >= 0.02


def test_threads_add_up() -> None:
    spent = Spent()

    def one() -> None:
        with spent.on(ASSESS):
            work(0.02)

    def fetching() -> None:
        work(0.02)
        spent.note_thread(FETCH)
        spent.note_thread(FETCH)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(one)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(fetching)
    found = spent.seconds()
    assert found[ASSESS] == pytest.approx(0.08, abs=0.01)
    assert found[FETCH] == pytest.approx(0.02, abs=0.005)
