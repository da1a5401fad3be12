"""Two people's words on one case at the same moment, as two engines would take them: one is first, the other sees it."""

from collections.abc import Callable

import pytest

from service import bootstrap
from service.domain.case import CaseState, Resolution, VoiceKind
from service.domain.decision import Decided, Kind
from service.domain.errors import CaseOver, IdempotencyKeyReused
from service.engine.desks.feedback import FeedbackDesk, Said, Word
from service.storage.memory.store import MemoryStore
from tests.builders import Bench, command, news

ROOM_MINOR = 10_000_000
APPEAL_US = 3_600_000_000


class Between(MemoryStore):
    """A store in which something else happens before one of the next transactions begins."""

    def __init__(self) -> None:
        super().__init__(bootstrap.now_us)
        self.before: Callable[[], object] | None = None

    def begin(self) -> None:
        before, self.before = self.before, None
        if before is not None:
            before()
        super().begin()


class Case:
    """An appealed refusal, and a desk that takes words on it."""

    def __init__(self) -> None:
        self.store = Between()
        self.bench = Bench(self.store)
        bench = self.bench
        assign = command(Kind.ASSIGN, account_id="a-1", request_id="r-1")
        raise_ = command(Kind.RAISE, account_id="a-1", request_id="r-2", news=news(dpd_now=5))
        *_, refused = bench.execute(assign, raise_)
        assert isinstance(refused, Decided)
        self.desk = FeedbackDesk(
            self.store, bench.control, bench.clock, bench.brake, APPEAL_US, {"CNY": ROOM_MINOR}
        )  # fmt: skip
        number = refused.decision.number
        self.desk.appeal(Said(VoiceKind.APPEAL, "ann/1", b"1", "ann", "a-1", number, "look again"))
        (self.case,) = self.store.cases.of_account("a-1", 1 << 62, 10)

    def word(self, who: str, resolution: Resolution, more_minor: int = 0) -> Word:
        account = self.store.account("a-1")
        assert account is not None
        limit_minor = account.limit_minor + more_minor if more_minor else 0
        return Word(
            f"{who}/w", f"{resolution}{more_minor}".encode(), who, self.case.number, resolution, limit_minor, "CNY",
            "because",
        )  # fmt: skip


@pytest.fixture
def appealed() -> Case:
    return Case()


def test_a_word_that_another_was_before_is_refused_and_changes_nothing(appealed: Case) -> None:
    first = appealed.word("bob", Resolution.UPHOLD)
    appealed.store.before = lambda: appealed.desk.resolve(first)

    with pytest.raises(CaseOver):
        appealed.desk.resolve(appealed.word("cyd", Resolution.UPHOLD))

    assert appealed.desk.case(appealed.case.number).resolved_by == "bob"
    assert len(appealed.store.cases.words(appealed.case.number, 0, 10)) == 1


def test_one_of_two_that_give_a_limit_at_once_gives_it(appealed: Case) -> None:
    first = appealed.word("bob", Resolution.OVERTURN, 10_000)
    appealed.store.before = lambda: appealed.desk.resolve(first)

    with pytest.raises(CaseOver):
        appealed.desk.resolve(appealed.word("cyd", Resolution.OVERTURN, 20_000))

    account = appealed.store.account("a-1")
    assert account is not None
    assert account.limit_minor == first.limit_minor


def test_the_word_of_two_on_an_amount_beyond_ones_room_is_the_second(appealed: Case) -> None:
    first = appealed.word("bob", Resolution.OVERTURN, 2 * ROOM_MINOR)
    second = appealed.word("cyd", Resolution.OVERTURN, 2 * ROOM_MINOR)
    appealed.store.before = lambda: appealed.desk.resolve(first)

    told = appealed.desk.resolve(second)

    assert told.case.state is CaseState.OVERTURNED
    assert (told.case.proposed_by, told.case.resolved_by) == ("bob", "cyd")


@pytest.mark.parametrize("resolution", [Resolution.UPHOLD, Resolution.OVERTURN])
def test_one_word_sent_twice_at_once_is_taken_once(appealed: Case, resolution: Resolution) -> None:
    word = appealed.word("bob", resolution, 10_000 if resolution is Resolution.OVERTURN else 0)
    appealed.store.before = lambda: appealed.desk.resolve(word)

    told = appealed.desk.resolve(word)

    assert told.replayed
    assert told.case.resolved_by == "bob"
    with pytest.raises(IdempotencyKeyReused):
        appealed.desk.resolve(word._replace(fingerprint=b"other"))
