"""The closing of a day finds what went wrong behind the service's back, and nothing else.

Goal: whatever mix of accounts a fault drops, doubles or corrupts, the closing lists exactly these, each with its kind.
Method: Hypothesis draws which accounts are hit and how; the faults are made in the file itself, past every check.
Mutation it catches: a closing that trusts the run's counters, or the promise ledger alone.
"""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.daily_run import DiscrepancyKind, Slice
from service.domain.decision import Decided, Kind
from service.domain.entitlement import EntitlementState
from service.engine.budget import SLICES, Purse
from service.engine.desks.run_work import WorkerAsk
from tests.altering import altering
from tests.builders import Bench, command, policy, sqlite
from tests.daily import DAY, Office
from tests.proof.strategies import examples

COUNT = 18
FAULTS = ("drop", "double", "alter", "forget", "deny")
"""Never decide; raise twice; alter the decision; lose the ledger's row; let the ledger deny what was granted."""
KIND_OF = {
    "drop": DiscrepancyKind.MISSING, "double": DiscrepancyKind.DOUBLED, "alter": DiscrepancyKind.CORRUPT,
    "forget": DiscrepancyKind.CORRUPT, "deny": DiscrepancyKind.CORRUPT,
}  # fmt: skip
GROWTH = ("last_raise_day", "last_cut_day", "movements")
"""Fields of an account that say how it has moved."""
OPEN_THE_LOG = "DROP TRIGGER IF EXISTS decisions_never_change;"


def _hit(path: Path, name: str, fault: str, growth: dict[str, bytes]) -> None:
    """Do to one account in the file what the fault does."""
    connection = altering(str(path))
    if fault == "double":
        for field in GROWTH:
            value = f"field('account', ?2, '{field}')"
            alter = f"UPDATE accounts SET record = altered('account', record, '{field}', {value}) WHERE account_id = ?1"
            connection.execute(alter, (name, growth[name]))
    elif fault == "alter":
        connection.execute(OPEN_THE_LOG)
        raised = "field('decision', record, 'new_limit_minor') + 1"
        alter = f"UPDATE decisions SET record = altered('decision', record, 'new_limit_minor', {raised})"
        connection.execute(f"{alter} WHERE account_id = ? AND field('decision', record, 'promised_minor') > 0", (name,))
    elif fault == "forget":
        connection.execute("DELETE FROM entitlements WHERE account_id = ?", (name,))
    elif fault == "deny":
        withheld = int(EntitlementState.WITHHELD)
        connection.execute("UPDATE entitlements SET state = ? WHERE account_id = ?", (withheld, name))
    connection.close()


def _growth(path: Path) -> dict[str, bytes]:
    connection = apsw.Connection(str(path))
    found = dict(connection.execute("SELECT account_id, record FROM accounts"))
    connection.close()
    return found


@given(st.dictionaries(st.integers(0, COUNT - 1), st.sampled_from(FAULTS), max_size=COUNT), st.integers(1, 7))
@examples(15)
def test_the_closing_lists_exactly_what_was_dropped_doubled_or_corrupted(hits: dict[int, str], shard: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="holdline-closing-"))
    path = folder / "holdline.db"
    office = Office(Bench(sqlite(path)), shard_accounts=shard)
    names = office.open_accounts(COUNT)
    faults = {names[at]: fault for at, fault in hits.items()}
    office.next_day()
    growth = _growth(path)

    def dropping(ask: WorkerAsk) -> WorkerAsk:
        if ask.chunk is None:
            return ask
        kept = tuple(name for name in ask.chunk.raises if faults.get(name) != "drop")
        return ask._replace(chunk=ask.chunk._replace(raises=kept))

    office.fault = dropping
    office.run()
    office.fault = lambda ask: ask
    for name, fault in faults.items():
        _hit(path, name, fault, growth)
        if fault == "double":
            (again,) = office.bench.execute(command(Kind.RAISE, request_id=f"again-{name}", account_id=name))
            assert isinstance(again, Decided)
    office.next_day()
    closed = office.close()

    assert {one.account_id: one.kind for one in closed.discrepancies} == {
        name: KIND_OF[fault] for name, fault in faults.items()
    }
    assert bool(closed.closing.incident) == bool(faults)
    assert sum(line.due for line in closed.closing.lines) == COUNT - sum(fault == "drop" for fault in faults.values())
    office.bench.store.close()
    shutil.rmtree(folder)


@pytest.mark.parametrize("engines", [1, 3])
def test_the_budget_is_never_exceeded_and_each_engine_wastes_at_most_a_slice(engines: int) -> None:
    bound = 20_000_000
    caps = replace(policy().caps, portfolio_per_day_minor=bound)
    budgeted = replace(policy(), caps=caps)
    taken: dict[str, Slice] = {}

    class Slices:
        """What purses ask of a store, in a dictionary."""

        def slices(self, product: str, business_day: int) -> list[Slice]:
            assert (product, business_day) == ("revolving", DAY)
            return list(taken.values())

        def enter_slice(self, product: str, business_day: int, entered: Slice) -> None:
            assert (product, business_day) == ("revolving", DAY)
            taken[entered.holder] = entered

    raised = 0
    is_spent = [False] * engines
    while not all(is_spent):
        for number in range(engines):
            purse = Purse(Slices(), f"engine-{number}")  # type: ignore[arg-type]  # all that purses ask of a store.
            amount = caps.per_decision.bound - 1_000 * number
            if purse.room(budgeted, DAY) >= amount:
                purse.spend(budgeted, DAY, amount)
                raised += amount
            else:
                is_spent[number] = True
            purse.write()

    slice_minor = max(bound // SLICES, caps.per_decision.bound)
    assert raised == sum(one.raised_minor for one in taken.values())
    assert sum(one.taken_minor for one in taken.values()) <= bound
    assert raised <= bound
    assert all(one.taken_minor - one.raised_minor < slice_minor for one in taken.values())
