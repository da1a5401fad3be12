"""Draws, as a state machine against a plain model.

Goal: exposure never exceeds the limit in force when it was authorised, money is conserved, an expired hold never
counts, nor a temporary raise that is over, whatever order draws, captures, voids, repayments, limit changes, retries,
time and crashes come in. Method:
Hypothesis draws the order; the model is a list of holds and one debt, in the fewest words. Mutation it catches: an
expired hold that still counts, or a second capture of what was captured.
"""

import shutil
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.domain import errors
from service.domain.account import Account, available_minor, limit_in_force
from service.domain.book import Command
from service.domain.decision import Ask, Decided, Kind, Outcome
from service.domain.draw import HOLDS_MAX, DrawKind, HoldState, Posted
from service.engine.desks.policies import PolicyOrder
from service.engine.replay import replay
from service.storage.verify import verify
from tests.builders import DAY_US, GOOD_FACTS, Bench, StillClock, command, document, draw, news, sqlite
from tests.proof.crash import left_by_a_kill
from tests.proof.strategies import examples

AMOUNTS = st.integers(1, 400_000) | st.integers(1_000_000, 4_000_000)


def _available(account: Account) -> int:
    return available_minor(limit_in_force(account), account.held_minor, account.outstanding_minor)


class ModelHold:
    """One hold: what is left of it, and until when."""

    def __init__(self, number: int, left: int, expires_us: int) -> None:
        self.number, self.left, self.expires_us = number, left, expires_us
        self.captured = 0
        self.closed = ""

    def counts(self, now_us: int) -> int:
        return self.left if not self.closed and self.expires_us > now_us else 0


def _is_declined(posted: Posted, room_minor: int) -> bool:
    """Claim that an authorisation was declined for want of room, with its reason, and that nothing is held for it."""
    posting = posted.posting
    room = max(posting.limit_minor - posting.held_minor - posting.outstanding_minor, 0)
    return (posting.outcome, posting.hold, room) == (Outcome.DECLINED, None, room_minor) and bool(posting.reasons)


class Draws(RuleBasedStateMachine):
    """Draw, capture, void, repay, cut and raise, for good and for a while; after each step the model and the store agree."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="holdline-draws-"))
        self.clock = StillClock()
        self.holds: list[ModelHold] = []
        self.owed = self.captured = self.repaid = 0
        self.extra = self.extra_until_us = 0
        self.asked = 0
        self.past: list[tuple[Command, Posted]] = []
        self.crashes = 0

    @initialize()
    def open(self) -> None:
        self.path = self.folder / "holdline.db"
        self.bench = Bench(sqlite(self.path), self.clock)
        (made,) = self.bench.execute(command())
        assert isinstance(made, Decided)
        self.limit = made.decision.new_limit_minor

    def _key(self) -> str:
        self.asked += 1
        return f"d-{self.asked}"

    def _held(self) -> int:
        return sum(hold.counts(self.clock.time_us) for hold in self.holds)

    def _limit(self) -> int:
        """Give what may be owed now: a temporary raise that is over counts no more, whatever ran since."""
        return self.limit + (self.extra if self.extra_until_us > self.clock.time_us else 0)

    def _execute(self, asked: Command) -> object:
        (answer,) = self.bench.execute(asked)
        if isinstance(answer, Posted):
            self.past.append((asked, answer))
        return answer

    @rule(amount=AMOUNTS, hours=st.integers(1, 72))
    def authorize(self, amount: int, hours: int) -> None:
        room = max(self._limit() - self._held() - self.owed, 0)
        live = sum(1 for hold in self.holds if hold.counts(self.clock.time_us))
        ttl_us = hours * 3_600_000_000
        answer = self._execute(draw(amount_minor=amount, request_id=self._key(), ttl_us=ttl_us))
        if amount > room:
            assert isinstance(answer, Posted)
            assert _is_declined(answer, room)
        elif live >= HOLDS_MAX:
            assert isinstance(answer, errors.TooManyHolds)
        else:
            assert isinstance(answer, Posted)
            assert answer.posting.outcome is Outcome.APPROVED
            self.holds.append(ModelHold(answer.posting.number, amount, self.clock.time_us + ttl_us))

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), share=st.integers(1, 120), is_final=st.booleans())
    def capture(self, data: st.DataObject, share: int, is_final: bool) -> None:
        hold = data.draw(st.sampled_from(self.holds))
        amount = max(hold.left * share // 100, 1)
        answer = self._execute(
            draw(DrawKind.CAPTURE, amount, request_id=self._key(), hold_number=hold.number, is_final=is_final)
        )
        if not hold.counts(self.clock.time_us):
            assert isinstance(answer, errors.HoldOver)
            assert answer.metadata["state"] == (hold.closed or "expired")
        elif amount > hold.left:
            assert isinstance(answer, errors.CaptureExceedsHold)
        else:
            assert isinstance(answer, Posted)
            hold.left -= amount
            hold.captured += amount
            self.owed += amount
            self.captured += amount
            if is_final or not hold.left:
                hold.closed = "captured"

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        hold = data.draw(st.sampled_from(self.holds))
        answer = self._execute(draw(DrawKind.VOID, 0, request_id=self._key(), hold_number=hold.number))
        if not hold.counts(self.clock.time_us):
            assert isinstance(answer, errors.HoldOver)
        else:
            assert isinstance(answer, Posted)
            hold.closed = "voided"

    @rule(amount=AMOUNTS)
    def repay(self, amount: int) -> None:
        answer = self._execute(draw(DrawKind.REPAY, amount, request_id=self._key()))
        if amount > self.owed:
            assert isinstance(answer, errors.RepaymentExceedsDebt)
        else:
            assert isinstance(answer, Posted)
            self.owed -= amount
            self.repaid += amount

    @rule(dpd=st.sampled_from((0, 0, 31, 61)))
    def review(self, dpd: int) -> None:
        facts = news(**{**GOOD_FACTS, "dpd_now": dpd})
        (answer,) = self.bench.execute(command(Kind.REVIEW, request_id=self._key(), news=facts))
        assert isinstance(answer, Decided)
        if answer.decision.new_limit_minor < self.limit:
            self.extra_until_us = 0
        self.limit = answer.decision.new_limit_minor
        assert (answer.decision.held_minor, answer.decision.outstanding_minor) == (self._held(), self.owed)

    @rule(amount=AMOUNTS, hours=st.integers(1, 100), is_ordered=st.booleans())
    def raise_for_a_while(self, amount: int, hours: int, is_ordered: bool) -> None:
        until_us = self.clock.time_us + hours * 3_600_000_000
        asked = Ask(amount, until_us, is_ordered)
        (answer,) = self.bench.execute(command(Kind.TEMPORARY, request_id=self._key(), asked=asked))
        assert isinstance(answer, Decided)
        decision = answer.decision
        if decision.outcome is Outcome.APPROVED:
            self.extra, self.extra_until_us = decision.new_limit_minor - decision.old_limit_minor, until_us
            assert 0 < self.extra <= (amount if is_ordered else min(amount, self.limit * 3 // 10, 2_000_000))
        assert decision.old_limit_minor == self.limit

    @precondition(lambda self: self.past)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        asked, first = data.draw(st.sampled_from(self.past))
        (again,) = self.bench.execute(asked)
        assert again == first._replace(replayed=True)

    @rule(hours=st.integers(1, 60))
    def let_time_pass(self, hours: int) -> None:
        self.clock.time_us += hours * 3_600_000_000

    @rule()
    def crash_and_reopen(self) -> None:
        self.crashes += 1
        left = left_by_a_kill(self.path, self.folder / str(self.crashes))
        self.bench.store.close()
        self.path = left
        self.bench = Bench(sqlite(self.path), self.clock)

    @invariant()
    def the_store_is_as_the_model_says(self) -> None:
        if not hasattr(self, "limit"):
            return
        found = self.bench.desk.account("a-1")
        assert (found.held_minor, found.outstanding_minor) == (self._held(), self.owed)
        assert _available(found) == max(self._limit() - self._held() - self.owed, 0)
        assert self.captured == self.owed + self.repaid
        for hold in self.holds:
            stored, _ = self.bench.desk.hold("a-1", hold.number)
            assert stored.captured_minor == hold.captured
            assert (stored.state is HoldState.OPEN) == bool(hold.counts(self.clock.time_us))

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            found = verify(self.bench.store)  # type: ignore[arg-type]  # the SQLite store is a ledger.
            assert found.faults == ()
            assert found.postings == len(self.past)
            assert replay(self.bench.store, self.bench.control).differences == ()  # type: ignore[arg-type]  # the same.
            self.bench.store.close()
        shutil.rmtree(self.folder)


TestDraws = Draws.TestCase
TestDraws.settings = examples(25, stateful_step_count=30)


def test_an_expired_hold_that_nobody_swept_frees_the_limit(tmp_path: Path) -> None:
    clock = StillClock()
    bench = Bench(sqlite(tmp_path / "holdline.db"), clock)
    (made,) = bench.execute(command())
    assert isinstance(made, Decided)
    limit = made.decision.new_limit_minor
    bench.execute(draw(amount_minor=limit, ttl_us=DAY_US))

    (before,) = bench.execute(draw(amount_minor=1, request_id="d-2"))
    clock.time_us += DAY_US
    (after,) = bench.execute(draw(amount_minor=limit, request_id="d-3"))

    assert isinstance(before, Posted)
    assert isinstance(after, Posted)
    assert _is_declined(before, 0)
    assert after.posting.outcome is Outcome.APPROVED
    assert verify(bench.store).faults == ()  # type: ignore[arg-type]  # the SQLite store is a ledger.


def test_a_cut_below_what_is_owed_leaves_nothing_available_and_nothing_negative(tmp_path: Path) -> None:
    bench = Bench(sqlite(tmp_path / "holdline.db"))
    text = document().replace("reference-2026-2", "deep-cuts").replace("below_exposure: false", "below_exposure: true")
    for action in ("publish", "promote"):
        bench.policies.change(PolicyOrder(action, f"tests/{action}", b"", "tests", "deep-cuts", document=text))
    (made,) = bench.execute(command())
    assert isinstance(made, Decided)
    limit = made.decision.new_limit_minor
    bench.execute(draw(amount_minor=limit))

    (cut,) = bench.execute(command(Kind.REDUCE, request_id="r-2", news=news(dpd_now=61)))
    (more,) = bench.execute(draw(amount_minor=1, request_id="d-2"))

    assert isinstance(cut, Decided)
    assert cut.decision.new_limit_minor < limit == cut.decision.held_minor
    assert _available(bench.desk.account("a-1")) == 0
    assert isinstance(more, Posted)
    assert _is_declined(more, 0)
    assert verify(bench.store).faults == ()  # type: ignore[arg-type]  # the SQLite store is a ledger.
