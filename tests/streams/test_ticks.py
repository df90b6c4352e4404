"""Ticks stand where their lane's owner wrote them, and for every reader alike."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from schemas.tick import Claim, Tick
from streams.records import Lane
from streams.ticks import TickBook

LANE, OTHER = Lane("a", 0), Lane("a", 1)


def claim(generation: int, owner: str, lane: Lane = LANE) -> Claim:
    return Claim(topic=lane.topic, partition=lane.partition, generation=generation, owner=owner)


def tick(
    number: int, generation: int = 0, lane: Lane = LANE, next_offset: int = 5, owner: str = ""
) -> Tick:
    return Tick(
        topic=lane.topic,
        partition=lane.partition,
        next_offset=next_offset,
        number=number,
        t=1000 * number,
        generation=generation,
        owner=owner,
    )


def numbers(book: TickBook, lane: Lane = LANE) -> list[int]:
    return [tick.number for tick in book.after(lane, 0)]


def test_recorded_ticks_stand_where_nobody_claimed_the_lane() -> None:
    book = TickBook()
    assert (book.generation(LANE), book.owner(LANE), book.last(LANE)) == (0, "", 0)
    assert book.tick(tick(1))
    assert book.tick(tick(2))
    assert book.claim(claim(1, "x", OTHER))
    assert not book.tick(tick(1, lane=OTHER))
    assert (numbers(book), numbers(book, OTHER)) == ([1, 2], [])


def test_a_tick_tells_of_a_claim_that_the_log_has_forgotten() -> None:
    book = TickBook()
    assert book.tick(tick(7, generation=3, owner="old"))
    assert (book.generation(LANE), book.owner(LANE)) == (3, "old")
    assert not book.claim(claim(3, "new"))
    assert book.claim(claim(4, "new"))


def test_a_former_owner_that_knows_the_new_generation_counts_for_nobody() -> None:
    book = TickBook()
    assert book.claim(claim(1, "asleep"))
    assert book.claim(claim(2, "awake"))
    assert not book.tick(tick(1, generation=2, owner="asleep"))
    assert book.tick(tick(1, generation=2, owner="awake"))


def test_what_a_former_owner_writes_after_the_claim_stands_not() -> None:
    book = TickBook()
    assert book.claim(claim(1, "asleep"))
    assert book.tick(tick(1, generation=1, owner="asleep"))
    assert book.claim(claim(2, "awake"))
    assert not book.tick(tick(2, generation=1, owner="asleep"))
    assert book.tick(tick(2, generation=2, owner="awake"))
    assert not book.tick(tick(3, generation=1, owner="asleep"))
    assert [t.generation for t in book.after(LANE, 0)] == [1, 2]
    assert book.owner(LANE) == "awake"


def test_of_two_claims_of_a_generation_the_first_stands() -> None:
    book = TickBook()
    assert book.claim(claim(3, "first"))
    assert not book.claim(claim(3, "second"))
    assert not book.claim(claim(2, "third"))
    assert (book.owner(LANE), book.generation(LANE)) == ("first", 3)


def test_a_number_stands_once_and_numbers_rise() -> None:
    book = TickBook()
    found = [book.tick(tick(number)) for number in (1, 1, 3, 2, 4)]
    assert found == [True, False, True, False, True]
    assert numbers(book) == [1, 3, 4]
    assert book.last(LANE) == 4
    assert [t.number for t in book.after(LANE, 3)] == [4]


def test_a_tick_stands_not_before_one_that_stands() -> None:
    """An owner that thinks a lane silent before it has read all of it would turn time back."""
    book = TickBook()
    assert book.tick(tick(1, next_offset=100))
    assert not book.tick(tick(2, next_offset=90))
    assert book.tick(tick(2, next_offset=100))


Record = Claim | Tick


def read_into(book: TickBook, records: Iterable[Record]) -> TickBook:
    for record in records:
        if isinstance(record, Claim):
            book.claim(record)
        else:
            book.tick(record)
    return book


class Owner:
    """A process that has read some beginning of the log, and writes by what it has read.

    It waits until it has read what it wrote of a lane before it writes of that lane again.
    """

    def __init__(self, name: str) -> None:
        self.name, self.read = name, 0
        self.book = TickBook()
        self.wrote: dict[Lane, int] = {}
        self.has_claimed = False

    def settled(self, lane: Lane) -> bool:
        return self.wrote.get(lane, -1) < self.read


LANES, OWNERS = st.sampled_from([LANE, OTHER]), st.integers(0, 2)


class TicksInALog(RuleBasedStateMachine):
    """Three processes write claims and ticks into one log; those that read nothing are asleep."""

    @initialize(recorded=st.integers(0, 3))
    def begin(self, recorded: int) -> None:
        self.owners = [Owner(name) for name in "xyz"]
        self.log: list[tuple[str, Record]] = [("", tick(number + 1)) for number in range(recorded)]

    @rule(who=OWNERS, records=st.integers(1, 9))
    def read(self, who: int, records: int) -> None:
        owner = self.owners[who]
        part = self.log[owner.read : owner.read + records]
        read_into(owner.book, [record for _, record in part])
        owner.read += len(part)

    @rule(who=OWNERS, lane=LANES)
    def write_claim(self, who: int, lane: Lane) -> None:
        owner = self.owners[who]
        if owner.settled(lane):
            self._write(owner, lane, claim(owner.book.generation(lane) + 1, owner.name, lane))
            owner.has_claimed = True

    @rule(who=OWNERS, lane=LANES, further=st.integers(0, 2))
    def write_tick(self, who: int, lane: Lane, further: int) -> None:
        owner = self.owners[who]
        book = owner.book
        # One that is none any more, and has read so, may have its tick on the way already.
        if owner.settled(lane) and owner.has_claimed:
            before = book.after(lane, book.last(lane) - 1)
            offset = further + (before[-1].next_offset if before else 0)
            number, generation = book.last(lane) + 1, book.generation(lane)
            self._write(owner, lane, tick(number, generation, lane, offset, owner.name))

    def _write(self, owner: Owner, lane: Lane, record: Record) -> None:
        owner.wrote[lane] = len(self.log)
        self.log.append((owner.name, record))

    @invariant()
    def the_ticks_that_stand_are_the_owners(self) -> None:
        owners: dict[Lane, tuple[int, str]] = {}
        standing: dict[Lane, list[Tick]] = {LANE: [], OTHER: []}
        for writer, record in self.log:
            lane = Lane(record.topic, record.partition)
            generation, owner = owners.get(lane, (0, ""))
            if isinstance(record, Tick):
                if (writer, record.generation) == (owner, generation):
                    standing[lane].append(record)
            elif record.generation > generation:
                owners[lane] = record.generation, writer
        whole = read_into(TickBook(), [record for _, record in self.log])
        for lane, expected in standing.items():
            assert whole.after(lane, 0) == expected
            assert whole.owner(lane) == owners.get(lane, (0, ""))[1]

    @invariant()
    def every_reader_has_a_beginning_of_what_stands(self) -> None:
        whole = read_into(TickBook(), [record for _, record in self.log])
        for owner in self.owners:
            for lane in (LANE, OTHER):
                known = owner.book.after(lane, 0)
                assert known == whole.after(lane, 0)[: len(known)]


TestTicksInALog = TicksInALog.TestCase
TestTicksInALog.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)
