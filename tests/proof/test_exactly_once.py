"""Exactly once, as a state machine against a plain model.

Goal: whatever order decisions, duplicates, reused keys, twins in one batch, stale versions, crashes, purges and
refusals come in, each key has one decision and each answer is the recorded one. Method: Hypothesis draws the order;
keys come from a bundle so that duplicates happen; a crash drops the connection without a close and opens the file
anew. Mutation it catches: a key that is written outside the decision's transaction.
"""

import shutil
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from service.domain import errors
from service.domain.book import wanted
from service.domain.decision import DecideCommand, Decided, Kind
from service.storage.verify import verify
from tests.builders import DAY_US, GOOD_FACTS, Bench, StillClock, command, news, sqlite
from tests.model import Model
from tests.proof.crash import left_by_a_kill
from tests.proof.strategies import examples

ACCOUNTS = st.sampled_from(("a", "b", "c"))
KINDS = st.sampled_from((Kind.ASSIGN, Kind.ASSIGN, Kind.RAISE, Kind.REDUCE, Kind.REVIEW))
FACTS = st.sampled_from(
    ({}, GOOD_FACTS, {**GOOD_FACTS, "dpd_now": 3}, {**GOOD_FACTS, "dpd_now": 61}, {"misuse_flags": 2})
)


REFUSALS = (errors.VersionMismatch, errors.AccountExists, errors.AccountNotFound, errors.NoLimitAssigned)


class ExactlyOnce(RuleBasedStateMachine):
    """Decide, retry, reuse, crash and purge; after each step the model and the store agree."""

    commands = Bundle("commands")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="holdline-proof-"))
        self.clock = StillClock()
        self.model = Model()
        self.keys = 0
        self.crashes = 0

    @initialize()
    def open(self) -> None:
        self.path = self.folder / "holdline.db"
        self.bench = Bench(sqlite(self.path), self.clock)

    @rule(target=commands, account=ACCOUNTS, kind=KINDS, facts=FACTS, stale=st.booleans())
    def decide(self, account: str, kind: Kind, facts: dict[str, int], stale: bool) -> DecideCommand:
        self.keys += 1
        asked = self._command(f"r-{self.keys}", account, kind, facts)
        if stale:
            asked = asked._replace(expected_version=self.model.versions.get(account, 0) + 1)
        self._hold(asked, self.bench.execute(asked)[0])
        return asked

    @rule(asked=commands)
    def retry(self, asked: DecideCommand) -> None:
        self._hold(asked, self.bench.execute(asked)[0])

    @rule(asked=commands, kind=KINDS)
    def reuse_the_key(self, asked: DecideCommand, kind: Kind) -> None:
        other = asked._replace(
            kind=kind, fingerprint=b"another request!", product="revolving" if kind is Kind.ASSIGN else ""
        )
        self._hold(other, self.bench.execute(other)[0])

    @rule(target=commands, account=ACCOUNTS, kind=KINDS, facts=FACTS, count=st.integers(2, 5))
    def send_twins_at_once(self, account: str, kind: Kind, facts: dict[str, int], count: int) -> DecideCommand:
        self.keys += 1
        asked = self._command(f"r-{self.keys}", account, kind, facts)
        answers = self.bench.execute(*[asked] * count)
        for answer in answers:
            self._hold(asked, answer)
        decided = [answer for answer in answers if isinstance(answer, Decided)]
        assert len({answer.decision.number for answer in decided}) <= 1
        return asked

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

    @rule()
    def crash_in_a_transaction(self) -> None:
        store = self.bench.store
        store.begin()
        asked = self._command("never", "a", Kind.REVIEW, {})
        row = self.bench.control.refresh(store)
        store.write(store.fetch(wanted([asked]), row.last_number))
        self.crash_and_reopen()

    @rule()
    def purge(self) -> None:
        before_us = self.clock.time_us - 3 * DAY_US
        self.bench.store.begin()
        self.bench.store.purge(before_us, 1_000)
        self.bench.store.commit()
        kept = {key: entry for key, entry in self.model.answers.items() if entry[1] >= before_us << 10}
        self.model.answers = kept

    @invariant()
    def the_store_is_as_the_model_says(self) -> None:
        if not hasattr(self, "bench"):
            return
        for name, version in self.model.versions.items():
            account = self.bench.store.account(name)
            assert account is not None
            assert (account.version, account.limit_minor) == (version, self.model.limits[name])

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            found = verify(self.bench.store)  # type: ignore[arg-type]  # the SQLite store is a ledger.
            assert found.faults == ()
            assert found.decisions == self.model.decisions
            self.bench.store.close()
        shutil.rmtree(self.folder)

    @staticmethod
    def _command(request_id: str, account: str, kind: Kind, facts: dict[str, int]) -> DecideCommand:
        product = "revolving" if kind is Kind.ASSIGN else ""
        seal = f"{request_id}{account}{kind}{sorted(facts.items())}".encode()[:64]
        return command(
            kind, request_id=request_id, account_id=account, product=product, fingerprint=seal, news=news(**facts)
        )

    def _hold(self, asked: DecideCommand, answer: object) -> None:
        """Hold an answer against the model and enter it there."""
        model = self.model
        recorded = model.answers.get(asked.request_id)
        if recorded is not None:
            if recorded[0] != asked.fingerprint:
                assert isinstance(answer, errors.IdempotencyKeyReused)
                return
            assert isinstance(answer, Decided)
            assert answer.replayed
            assert answer.decision.number == recorded[1]
            return
        version = model.versions.get(asked.account_id, 0)
        if not isinstance(answer, Decided):
            assert isinstance(answer, REFUSALS)
            return
        assert not answer.replayed
        assert answer.decision.account_version == version + 1
        assert answer.decision.old_limit_minor == model.limits.get(asked.account_id, 0)
        model.answers[asked.request_id] = (asked.fingerprint, answer.decision.number)
        model.versions[asked.account_id] = version + 1
        model.limits[asked.account_id] = answer.decision.new_limit_minor
        model.decisions += 1


TestExactlyOnce = ExactlyOnce.TestCase
TestExactlyOnce.settings = examples(30, stateful_step_count=30)
