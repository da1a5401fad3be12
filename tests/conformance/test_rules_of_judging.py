"""A store of the first rules of judging is judged by them, whatever judges its decisions again.

`store_of_the_first_rules.sql.gz` was written by the version before decisions said by which rules they were made: raises
on temporary ones, small orders, appeals, cuts, draws, runs, a closing and a playbook among its 400 decisions.
"""

import gzip
from pathlib import Path

import apsw
import pytest

from service.domain.decision import Ask, Decided, Decision, Kind, Outcome
from service.domain.explain import explain
from service.domain.mode import EVERYBODY, Measure, composed
from service.domain.rules import CURRENT, FIRST
from service.engine import preview as previews
from service.engine.replay import difference_of, replay
from service.storage.verify import verify
from tests.altering import altering
from tests.builders import DAY_US, NOW_US, PLAYBOOKS, TODAY, Bench, StillClock, command, sqlite
from tests.daily import Office

DUMP = Path(__file__).with_name("store_of_the_first_rules.sql.gz")
DECISIONS = 400
DAYS = 28
"""How long after the builders' clock the store was left."""


@pytest.fixture
def old(tmp_path: Path) -> Bench:
    """Bring the store up, at the time when it was left."""
    path = tmp_path / "holdline.db"
    connection = apsw.Connection(str(path))
    connection.execute(gzip.decompress(DUMP.read_bytes()).decode())
    connection.close()
    return Bench(sqlite(path), StillClock(NOW_US + DAYS * DAY_US))


def _decisions(bench: Bench) -> list[Decision]:
    return [sealed.decided.decision for sealed in bench.store.sealed_all()]  # type: ignore[attr-defined]  # a file's store is a ledger.


def test_it_verifies_and_replays_clean_and_goes_on_by_the_rules_of_today(old: Bench) -> None:
    before = _decisions(old)
    (raised,) = old.execute(command(Kind.RAISE, request_id="new", account_id="small"))
    asked = Ask(10**12, old.clock.time_us + DAY_US, is_ordered=True)
    (ordered,) = old.execute(
        command(Kind.TEMPORARY, request_id="t", account_id="small", asked=asked, asked_currency="CNY")
    )

    assert len(before) == DECISIONS
    assert {made.rules for made in before} == {FIRST}
    assert isinstance(raised, Decided)
    assert isinstance(ordered, Decided)
    assert {raised.decision.rules, ordered.decision.rules} == {CURRENT}
    assert verify(old.store).faults == ()  # type: ignore[arg-type]  # a file's store is a ledger.
    assert replay(old.store, old.control).differences == ()  # type: ignore[arg-type]  # every store is a ledger.


def test_what_was_told_then_is_explained_as_it_was_told(old: Bench) -> None:
    told = 0
    for made in _decisions(old):
        policy = old.control.version(old.store, made.policy_version)
        mode = old.control.recorded_mode(old.store, made.activations)
        findings = tuple(dict.fromkeys(finding.reason for finding in explain(made, policy, mode).findings))
        if made.kind is not Kind.IMPORT:
            assert findings[:4] == made.reasons
            told += made.reasons == ("CAP_PER_DECISION",) and made.outcome is Outcome.DECLINED

    assert told, "a raise of less than a unit is told the cap on a decision, as the first rules told it"


def test_a_preview_changes_only_what_the_playbook_changes(old: Bench) -> None:
    playbook = next(one for one in PLAYBOOKS.all() if one.name == "freeze_reductions")
    measure = Measure("A9@freeze_reductions/v1", 9, EVERYBODY, playbook.make_parameters(), playbook)

    seen = previews.preview(
        previews.newest(old.store, DECISIONS),
        playbook,
        EVERYBODY,
        lambda names: composed([measure], old.control.recorded_mode(old.store, names).policies),
        lambda version: old.control.version(old.store, version),
    )

    assert seen.decisions == DECISIONS
    assert {was for _, was, _ in seen.transitions} == {int(Outcome.APPROVED)}
    assert all(one.decision.new_limit_minor < one.decision.old_limit_minor for one in seen.samples)


def test_a_day_of_the_first_rules_closes_without_a_record_that_does_not_follow(old: Bench) -> None:
    office = Office(old)
    report = office.close(TODAY)

    assert any(made.business_day == TODAY and made.reasons == ("CAP_PER_DECISION",) for made in _decisions(old))
    assert [one.detail for one in report.discrepancies if "recorded" in one.detail or "altered" in one.detail] == []


@pytest.mark.parametrize("is_moved", [False, True])
@pytest.mark.parametrize("is_new", [False, True])
def test_a_record_that_is_put_under_other_rules_is_seen(
    old: Bench, tmp_path: Path, is_new: bool, is_moved: bool
) -> None:
    (made,) = old.execute(command(Kind.RAISE, request_id="new", account_id="small"))
    assert isinstance(made, Decided)
    of_first_rules = _decisions(old)[0]
    while is_moved and old.store.move_slice():  # type: ignore[attr-defined]  # a file's.
        pass
    number, other = (made.decision.number, FIRST) if is_new else (of_first_rules.number, CURRENT)
    connection = altering(str(tmp_path / "holdline.db"))
    for (name,) in list(connection.execute("SELECT name FROM sqlite_master WHERE type='trigger'")):
        connection.execute(f"DROP TRIGGER {name}")
    # The small account is one of the first rules, so its new decision stands in their form until it is moved.
    old_form = "UPDATE decisions_before SET rules = ? WHERE number = ?"
    new_form = "UPDATE decisions SET record = altered('decision', record, 'rules', ?) WHERE number = ?"
    connection.execute(new_form if is_moved else old_form, (other, number))
    connection.close()

    assert any(f"{number:016x} was altered" in fault for fault in verify(old.store).faults)  # type: ignore[arg-type]  # every store is a ledger.


def test_a_record_of_rules_that_this_build_does_not_know_is_not_judged_by_others(old: Bench) -> None:
    (made,) = old.execute(command(Kind.RAISE, request_id="new", account_id="small"))
    assert isinstance(made, Decided)

    later = made.decision._replace(rules=CURRENT + 1)

    assert "unknown to this build" in difference_of(later, old.store, old.control)  # type: ignore[arg-type]  # every store is a ledger.
