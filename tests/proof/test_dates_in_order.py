"""The order in which dates are run changes nothing for the better: nobody gets more than the dates in order give.

Goal: a date that is run after a later one never gives anybody more than a twin world in which the same dates were run
in order has given him by then; dates in order, and dates started together in any order, come out as the twin; whoever
ends below the twin is listed. Method: Hypothesis draws a policy (steps, waits, caps, budget), accounts (scores, debts,
first days) and an order of runs, raises by customers and cuts; each prefix of it is held against a twin of its own.
Mutations it catches: a late date that is bounded by nothing; a cap's window that ends with the date; no look at
whether later raises hold at the greater limit. `conformance/test_dates.py` holds the single rules.
"""

from itertools import product
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from service import bootstrap
from service.domain.daily_run import DiscrepancyKind
from service.domain.decision import Decided, Kind
from service.engine.desks.policies import PolicyOrder
from service.engine.replay import replay
from service.storage.memory.store import MemoryStore
from service.storage.verify import verify
from tests.builders import GOOD_FACTS, REFERENCE, TODAY, Bench, command, document, news
from tests.daily import Office
from tests.proof.strategies import examples

SPAN = 6
"""So many days there are after the first; all is run on the last of them."""
LAST = TODAY + SPAN
RAISE, CUT, MISSED = "raise", "cut", "missed"


class Rules(NamedTuple):
    """What differs from the reference policy; amounts in minor units."""

    wait_days: int
    per_decision_minor: int
    window_minor: int
    absolute_minor: int
    budget_minor: int
    """0 for none."""


class Person(NamedTuple):
    """An account: first limit on a day after the first one, or taken over with a limit (`since` below 0)."""

    since: int
    limit_minor: int
    owed_bp: int
    score: int


class Step(NamedTuple):
    """A run of a day (`what` empty), a missed one made good, or what is done to an account on the last day."""

    day: int
    what: str
    who: int


def _policy(rules: Rules) -> str:
    text = document().replace(REFERENCE, "twin")
    for old, new in (
        ("wait_after_raise_days: 1", f"wait_after_raise_days: {rules.wait_days}"),
        ("per_decision_minor: 200000", f"per_decision_minor: {rules.per_decision_minor}"),
        ("per_30_days_minor: 2000000", f"per_30_days_minor: {rules.window_minor}"),
        ("  maximum_minor: 20000000", f"  maximum_minor: {min(rules.absolute_minor, 20_000_000)}"),
        ("absolute_minor: 50000000", f"absolute_minor: {rules.absolute_minor}"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    if rules.budget_minor:
        text = text.replace(
            "  debt_to_income_bp:", f"  portfolio_per_day_minor: {rules.budget_minor}\n  debt_to_income_bp:"
        )
    return text


class World:
    """A store in which steps are taken on the last day."""

    def __init__(self, rules: Rules, people: tuple[Person, ...]) -> None:
        self.office = Office(Bench(MemoryStore(bootstrap.now_us)), shard_accounts=2)
        bench = self.office.bench
        for action in ("publish", "promote"):
            bench.policies.change(PolicyOrder(action, f"t/{action}", b"", "t", "twin", document=_policy(rules)))
        self.names = [f"a-{number}" for number in range(len(people))]
        for day in range(-1, SPAN + 1):
            bench.clock.time_us += day > 0 and 86_400_000_000
            for name, person in zip(self.names, people, strict=True):
                if person.since == day:
                    self._open(name, person)
        self.taken = 0

    def _open(self, name: str, person: Person) -> None:
        facts = {**GOOD_FACTS, "monthly_income": 3_000_000, "bureau_score": person.score}
        if person.since < 0:
            opening = command(
                Kind.IMPORT, request_id=f"o-{name}", account_id=name, product="revolving", news=news(**facts),
                import_limit_minor=person.limit_minor, import_currency="CNY",
                import_outstanding_minor=person.limit_minor * person.owed_bp // 10_000,
            )  # fmt: skip
        else:
            opening = command(request_id=f"o-{name}", account_id=name, news=news(**facts))
        (made,) = self.office.bench.execute(opening)
        assert isinstance(made, Decided)

    def take(self, step: Step) -> None:
        if not step.what:
            self.office.run(step.day)
            return
        if step.what == MISSED:
            self.office.close(step.day)
            self.office.make_good(step.day)
            self.office.work()
            return
        self.taken += 1
        name = self.names[step.who]
        said = news(dpd_now=40) if step.what == CUT else ()
        key = f"{step.what}-{name}-{self.taken}"
        (made,) = self.office.bench.execute(
            command(Kind(2 + (step.what == CUT)), request_id=key, account_id=name, news=said)
        )
        assert isinstance(made, Decided)
        if step.what == CUT:
            # Paid at once, so that only the cut itself stands in the way of what follows.
            (paid,) = self.office.bench.execute(
                command(Kind.REDUCE, request_id=f"p{key}", account_id=name, news=news(dpd_now=0))
            )
            assert isinstance(paid, Decided)

    def limits(self) -> list[int]:
        found = [self.office.bench.store.account(name) for name in self.names]
        return [account.limit_minor for account in found if account is not None]

    def short_of(self, rightly: list[int], days: list[int]) -> set[str]:
        """Name who has less than is right, and had a limit on every day that was run."""
        found = {name for name, got, due in zip(self.names, self.limits(), rightly, strict=True) if got < due}
        accounts = (self.office.bench.store.account(name) for name in found)
        return {one.account_id for one in accounts if one is not None and one.limit_since_day <= min(days)}

    def listed(self) -> set[str]:
        runs = self.office.bench.store.runs
        found = [one for name in self.names for one in runs.discrepancies_of(name, 100)]
        return {one.account_id for one in found if one.kind is DiscrepancyKind.LEFT_SHORT}


RULES = st.sampled_from(
    [
        Rules(wait_days, per_decision, window, absolute, budget)
        for at, (wait_days, budget) in enumerate(product((0, 1, 1, 2, 3), (0, 0, 250_000, 450_000, 60_000)))
        for per_decision in ((200_000, 30_000)[at % 2],)
        for window in ((2_000_000, 70_000, 300_000)[at % 3],)
        for absolute in ((50_000_000, 13_000_000)[at // 3 % 2],)
    ]
)
"""Few enough that each is compiled once."""
PEOPLE = st.lists(
    st.builds(
        Person, st.sampled_from((-1, -1, -1, 0, 2, 4, SPAN)), st.sampled_from((1_000_000, 1_234_000, 2_990_000, 10_000_000, 12_900_000)),
        st.sampled_from((0, 1_005, 3_010, 6_020, 9_000)), st.sampled_from((720, 690, 650, 600)),
    ),
    min_size=1, max_size=5,
).map(tuple)  # fmt: skip


@st.composite
def _steps(draw: st.DrawFn, people: int) -> list[Step]:
    days = draw(st.lists(st.integers(0, SPAN), min_size=2, max_size=5, unique=True))
    missed = draw(st.sets(st.sampled_from(days)))
    steps = [Step(TODAY + day, MISSED if day in missed and day < SPAN else "", 0) for day in days]
    for _ in range(draw(st.integers(0, 2))):
        done = Step(LAST, draw(st.sampled_from((RAISE, RAISE, CUT))), draw(st.integers(0, people - 1)))
        steps.insert(draw(st.integers(0, len(steps))), done)
    return steps


@given(RULES, PEOPLE, st.data())
@examples(60)
def test_a_date_run_after_a_later_one_gives_nobody_more_than_the_dates_in_order(
    rules: Rules, people: tuple[Person, ...], data: st.DataObject
) -> None:
    steps = data.draw(_steps(len(people)))
    world = World(rules, people)
    before = world.limits()
    for count, step in enumerate(steps, 1):
        world.take(step)
        done = steps[:count]
        ordered = sorted(done, key=lambda one: one.day)
        twin = World(rules, people)
        for one in ordered:
            twin.take(one)
        after, rightly = world.limits(), twin.limits()

        if done == ordered:
            assert after == rightly
        elif step.what in ("", MISSED) and step != ordered[-1]:
            assert [x for x in zip(before, after, rightly, strict=True) if x[1] > max(x[0], x[2])] == []
            short = world.short_of(rightly, [one.day for one in done])
            if not any(one.what in (RAISE, CUT) for one in done):
                assert short <= world.listed()
        before = after
    store = world.office.bench.store
    assert verify(store).faults == ()  # type: ignore[arg-type]  # every store is a ledger.
    assert replay(store, world.office.bench.control).differences == ()  # type: ignore[arg-type]  # the same.


@given(RULES, PEOPLE, st.permutations(range(SPAN + 1)), st.integers(2, 5))
@examples(25)
def test_dates_that_are_started_together_come_out_as_one_after_the_other(
    rules: Rules, people: tuple[Person, ...], order: list[int], count: int
) -> None:
    days = [TODAY + day for day in order[:count]]
    together, twin = World(rules, people), World(rules, people)
    for day in days:
        together.office.start(day)
    together.office.work()
    for day in sorted(days):
        twin.office.run(day)

    assert together.limits() == twin.limits()
    assert together.listed() == set()
    for name in together.names:
        promises = (one.office.bench.store.runs.entitlements(name, LAST + 1, 100) for one in (together, twin))
        first, second = ([one._replace(decision=0) for one in found] for found in promises)
        assert first == second
