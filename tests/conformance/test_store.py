"""One behaviour for every store: the same suite, run over each."""

import pytest

from service import bootstrap
from service.domain import errors
from service.domain.book import Wanted
from service.domain.decision import Decided, Kind
from service.domain.draw import DrawKind, Posted
from service.domain.policy_life import PolicyState
from service.engine.desks.policies import PolicyOrder
from service.engine.replay import replay
from service.storage.verify import verify
from tests.builders import DAY_US, GOOD_FACTS, NOW_US, Bench, command, document, draw, news


def _decided(answer: object) -> Decided:
    assert isinstance(answer, Decided), answer
    return answer


def test_a_new_store_starts_with_the_reference_policies(bench: Bench) -> None:
    assert bench.store.active_versions() == {"revolving": "reference-2026-2", "instalment": "instalment-2026-2"}


def test_a_decision_is_answered_stored_and_found(bench: Bench) -> None:
    made = _decided(bench.execute(command())[0]).decision

    stored = bench.store.decision(made.number)
    account = bench.store.account("a-1")
    assert stored is not None
    assert stored.decision == made
    assert account is not None
    assert (account.limit_minor, account.version, account.last_decision) == (made.new_limit_minor, 1, made.number)
    assert account.profile == made.profile


def test_a_retry_with_the_same_key_gets_the_recorded_answer(bench: Bench) -> None:
    first = _decided(bench.execute(command())[0])
    bench.clock.time_us += DAY_US

    again = _decided(bench.execute(command())[0])

    assert again == first._replace(replayed=True)
    assert verify(bench.store).decisions == 1  # type: ignore[arg-type]  # every store is a ledger.


def test_the_same_key_with_another_request_is_refused_and_nothing_is_written(bench: Bench) -> None:
    bench.execute(command())

    refused = bench.execute(command(Kind.RAISE, fingerprint=b"other"))[0]

    assert isinstance(refused, errors.IdempotencyKeyReused)
    assert verify(bench.store).decisions == 1  # type: ignore[arg-type]  # every store is a ledger.


def test_the_same_request_id_of_another_caller_is_another_key(bench: Bench) -> None:
    bench.execute(command())

    other = _decided(bench.execute(command(Kind.RAISE, caller="others"))[0])

    assert other.decision.account_version == 2


def test_twins_in_one_batch_are_decided_once(bench: Bench) -> None:
    first, second = (_decided(answer) for answer in bench.execute(command(), command()))

    assert (first.replayed, second.replayed) == (False, True)
    assert first.decision == second.decision


def test_two_commands_on_one_account_in_a_batch_see_each_other(bench: Bench) -> None:
    assign, lift = (
        _decided(answer).decision for answer in bench.execute(command(), command(Kind.RAISE, request_id="r-2"))
    )

    assert lift.old_limit_minor == assign.new_limit_minor
    assert lift.previous == assign.number
    assert lift.number > assign.number


def test_a_refusal_in_a_batch_leaves_its_neighbours_and_no_key(bench: Bench) -> None:
    answers = bench.execute(
        command(Kind.RAISE, request_id="x", account_id="nobody"),
        command(),
        command(Kind.RAISE, request_id="y", expected_version=7),
        command(Kind.ASSIGN, request_id="z", account_id="b", product="unheard-of"),
    )

    assert [type(answer).__name__ for answer in answers] == [
        "AccountNotFound", "Decided", "VersionMismatch", "PolicyNotFound",
    ]  # fmt: skip
    later = _decided(bench.execute(command(Kind.RAISE, request_id="y", expected_version=1))[0])
    assert later.replayed is False


def test_an_account_declined_at_first_may_be_assigned_a_limit_later(bench: Bench) -> None:
    declined = _decided(bench.execute(command(news=news(**{**GOOD_FACTS, "dpd_now": 3})))[0])

    assigned = _decided(bench.execute(command(request_id="r-2", fingerprint=b"2"))[0])

    assert declined.decision.new_limit_minor == 0
    assert assigned.decision.new_limit_minor > 0


def test_decisions_are_listed_newest_first_in_stable_pages(bench: Bench) -> None:
    kinds = [command(), *(command(Kind.REVIEW, request_id=f"n-{number}") for number in range(6))]
    numbers = [_decided(answer).decision.number for answer in bench.execute(*kinds)]

    page = bench.store.account_decisions("a-1", 0, 4)
    bench.execute(command(Kind.REVIEW, request_id="late"))
    rest = bench.store.account_decisions("a-1", page[-1].decision.number, 10)

    assert [decided.decision.number for decided in page + rest] == numbers[::-1]
    assert bench.store.account_decisions("nobody", 0, 4) == []


def test_a_clock_set_back_never_makes_a_decision_older_than_the_one_before(bench: Bench) -> None:
    first = _decided(bench.execute(command())[0]).decision
    bench.clock.time_us -= 5 * DAY_US

    second = _decided(bench.execute(command(Kind.RAISE, request_id="r-2"))[0]).decision

    assert second.decided_us >= first.decided_us
    assert second.business_day >= first.business_day


def test_purging_forgets_old_keys_in_bounded_steps_and_keeps_the_decisions(bench: Bench) -> None:
    bench.execute(*(command(request_id=f"n-{number}", account_id=f"a-{number}") for number in range(5)))
    bench.clock.time_us += DAY_US
    bench.execute(command(request_id="young", account_id="y"))

    looked_at = []
    for _ in range(4):
        bench.store.begin()
        looked_at.append(bench.store.purge(NOW_US + DAY_US // 2, 2))
        bench.store.commit()

    assert looked_at == [2, 2, 1, 0]
    assert verify(bench.store).decisions == 6  # type: ignore[arg-type]  # every store is a ledger.
    assert _decided(bench.execute(command(request_id="young", account_id="y"))[0]).replayed
    assert isinstance(bench.execute(command(request_id="n-0", account_id="a-0"))[0], errors.AccountExists)


def test_what_is_rolled_back_is_gone(bench: Bench) -> None:
    bench.store.begin()
    row = bench.store.control()
    book = bench.store.fetch(Wanted(["tests/r-1"], ["a-1"], [], []), row.last_number)
    bench.store.write(book)
    bench.store.rollback()

    assert bench.store.account("a-1") is None


def _order(action: str, key: str, **said: str) -> PolicyOrder:
    return PolicyOrder(action, f"tests/{key}", f"{action}{said}".encode(), "tests", **said)  # type: ignore[arg-type]  # texts.


def test_policies_are_published_promoted_and_rolled_back_each_once(bench: Bench) -> None:
    tighter = (
        document().replace("policy: reference-2026-2", "policy: tighter").replace("share_bp: 200", "share_bp: 100")
    )

    published = bench.policies.change(_order("publish", "p", document=tighter))
    promoted = bench.policies.change(_order("promote", "q", version="tighter"))
    again = bench.policies.change(_order("promote", "q", version="tighter"))
    decided = _decided(bench.execute(command())[0]).decision
    back = bench.policies.change(_order("rollback", "r", product="revolving"))
    after = _decided(bench.execute(command(Kind.RAISE, request_id="r-2"))[0]).decision

    assert published.record.state is PolicyState.DRAFT
    assert (promoted.record.state, promoted.change.previous_version) == (PolicyState.ACTIVE, "reference-2026-2")
    assert again.replayed
    assert decided.policy_version == "tighter"
    assert (back.record.version, back.change.previous_version) == ("reference-2026-2", "tighter")
    assert after.policy_version == "reference-2026-2"
    states = {record.version: record.state for record in bench.policies.records("revolving")}
    assert states == {"reference-2026-2": PolicyState.ACTIVE, "tighter": PolicyState.RETIRED}


def test_a_published_version_never_changes(bench: Bench) -> None:
    other = document().replace("share_bp: 200", "share_bp: 150")

    with pytest.raises(errors.PolicyVersionExists):
        bench.policies.change(_order("publish", "p", document=other))

    same = bench.policies.change(_order("publish", "s", document="# a comment\n" + document()))
    assert same.replayed


def test_only_a_draft_is_promoted_and_only_what_has_decided_is_rolled_back_to(bench: Bench) -> None:
    draft = document().replace("policy: reference-2026-2", "policy: draft")
    bench.policies.change(_order("publish", "p", document=draft))

    with pytest.raises(errors.PolicyStateRefused):
        bench.policies.change(_order("rollback", "r", product="revolving", version="draft"))
    with pytest.raises(errors.PolicyStateRefused):
        bench.policies.change(_order("promote", "q", version="reference-2026-2"))
    with pytest.raises(errors.PolicyNotFound):
        bench.policies.change(_order("rollback", "s", product="revolving"))
    with pytest.raises(errors.IdempotencyKeyReused):
        bench.policies.change(_order("promote", "p", version="draft"))


def test_a_store_full_of_decisions_verifies_and_replays(bench: Bench) -> None:
    for day in range(5):
        bench.clock.time_us = NOW_US + day * DAY_US
        bench.execute(
            *(
                command(
                    Kind.REVIEW if day else Kind.ASSIGN, request_id=f"{day}-{number}", account_id=f"a-{number}",
                    news=news(**{**GOOD_FACTS, "dpd_now": (number * day * 13) % 75}),
                )
                for number in range(20)
            )
        )  # fmt: skip

    assert verify(bench.store).faults == ()  # type: ignore[arg-type]  # every store is a ledger.
    replayed = replay(bench.store, bootstrap.make_control())  # type: ignore[arg-type]  # every store is a ledger.
    assert (replayed.decisions, replayed.differences) == (100, ())


def test_evaluating_answers_what_deciding_would_and_writes_nothing(bench: Bench) -> None:
    evaluated, after, *_ = bench.desk.evaluate(command(), "", "")
    decided = _decided(bench.execute(command())[0]).decision

    assert (evaluated.outcome, evaluated.new_limit_minor, evaluated.reasons) == (
        decided.outcome, decided.new_limit_minor, decided.reasons,
    )  # fmt: skip
    assert after.limit_minor == decided.new_limit_minor
    assert decided.account_version == 1


def test_postings_and_holds_come_back_as_written_and_keys_are_shared_with_decisions(bench: Bench) -> None:
    bench.execute(command())
    (held,) = bench.execute(draw(amount_minor=50_000))
    assert isinstance(held, Posted)
    number = held.posting.number
    (captured,) = bench.execute(draw(DrawKind.CAPTURE, 20_000, request_id="d-2", hold_number=number))
    (reused,) = bench.execute(draw(DrawKind.REPAY, 1, request_id="r-1", fingerprint=b"other"))

    assert isinstance(captured, Posted)
    assert isinstance(reused, errors.IdempotencyKeyReused)
    listed = bench.store.account_postings("a-1", 0, 10)
    assert [one.posting for one in listed] == [captured.posting, held.posting]
    assert [one.posting for one in bench.store.account_postings("a-1", captured.posting.number, 10)] == [held.posting]
    assert bench.store.account_postings("a-1", 12345, 10) == []
    assert bench.store.hold("a-1", number) == captured.posting.hold
    assert bench.store.hold("a-2", number) is None
    assert verify(bench.store).faults == ()  # type: ignore[arg-type]  # every store is a ledger.


def test_keys_of_postings_are_purged_with_those_of_decisions(bench: Bench) -> None:
    bench.execute(command())
    bench.clock.time_us += 1_000
    bench.execute(draw(amount_minor=50_000))
    bench.clock.time_us += DAY_US

    bench.store.begin()
    looked_at = bench.store.purge(bench.clock.time_us, 10)
    bench.store.commit()
    (again,) = bench.execute(draw(amount_minor=50_000))

    assert looked_at == 2
    assert isinstance(again, Posted)
    assert not again.replayed


def test_a_roll_back_again_goes_further_back_and_never_to_what_a_roll_back_has_left(bench: Bench) -> None:
    reference = bench.store.active_versions()["revolving"]
    for version in ("v2", "v3", "v4"):
        text = document().replace(f"policy: {reference}", f"policy: {version}")
        bench.policies.change(_order("publish", f"p-{version}", document=text))
        bench.policies.change(_order("promote", f"q-{version}", version=version))

    def back(key: str, **said: str) -> tuple[str, str]:
        changed = bench.policies.change(_order("rollback", key, product="revolving", **said))
        return changed.change.previous_version, changed.record.version

    assert back("1") == ("v4", "v3")
    assert back("1") == ("v4", "v3")
    assert back("2") == ("v3", "v2")
    assert back("3", version="v4") == ("v2", "v4")
    assert back("4") == ("v4", "v2")
    assert back("5") == ("v2", reference)
    with pytest.raises(errors.PolicyNotFound, match="name the version"):
        back("6")
    assert bench.store.active_versions()["revolving"] == reference
    assert back("2") == ("v3", "v2")
    assert bench.store.active_versions()["revolving"] == reference


def test_a_roll_back_that_is_tried_writes_nothing_and_one_from_another_version_is_refused(bench: Bench) -> None:
    reference = bench.store.active_versions()["revolving"]
    bench.policies.change(_order("publish", "p", document=document().replace(f"policy: {reference}", "policy: v2")))
    bench.policies.change(_order("promote", "q", version="v2"))
    tried = _order("rollback", "r", product="revolving")._replace(is_tried=True)

    planned = bench.policies.change(tried)
    before = bench.store.active_versions()["revolving"]
    with pytest.raises(errors.PolicyStateRefused):
        bench.policies.change(_order("rollback", "r", product="revolving", from_version=reference))
    made = bench.policies.change(_order("rollback", "r", product="revolving", from_version="v2"))

    assert (planned.change.previous_version, planned.record.version, before) == ("v2", reference, "v2")
    assert (made.change.previous_version, made.record.version) == ("v2", reference)
