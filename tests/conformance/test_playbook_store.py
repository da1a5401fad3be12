"""Activations, messages, growth, engines and baselines: one behaviour for every store."""

import pytest

from playbooks import registry
from service.domain import errors
from service.domain.activation import ActivationState, Approval, state_of
from service.domain.decision import Decided, Kind
from service.domain.mode import Scope
from service.domain.watch import Baseline, EngineSeen, MessageState, look_at
from service.engine.desks.playbooks import PlaybookDesk
from service.engine.execute import transaction
from service.engine.ports.store import NUMBER_MAX
from service.engine.replay import replay
from service.storage.memory.store import MemoryStore
from service.storage.sqlite.store import SqliteStore
from tests.builders import NOW_US, Bench, StillClock, command, news

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
FREEZE = "A1@freeze_raises/v1"


def _made(bench: Bench, account_id: str, kind: Kind = Kind.ASSIGN) -> Decided:
    (answer,) = bench.execute(
        command(kind, request_id=f"{kind}-{account_id}-{bench.clock.time_us}", account_id=account_id)
    )
    assert isinstance(answer, Decided), answer
    return answer


def test_an_activation_is_kept_as_it_was_asked_for(bench: Bench) -> None:
    scope = Scope("revolving", (), 2_500)
    made = bench.order(
        "activate", "k", playbook="cap_growth", parameters={"per_window_bp": 7}, scope=scope, incident="I1"
    )

    kept = bench.store.playbooks.activation(1)

    assert kept == made.activation
    assert kept is not None
    assert dict(kept.parameters) == {"per_decision_bp": 100, "first_limit_bp": 5_000, "per_window_bp": 7}
    assert (kept.scope, kept.incident, kept.from_us, kept.until_us) == (scope, "I1", NOW_US, NOW_US + HOUR_US)
    assert bench.store.playbooks.activations_newest(1 << 62, 10) == [kept]
    assert [change.action for change in bench.store.playbooks.changes(0, 10)] == ["activate"]


def test_it_lapses_by_the_stores_clock_without_anybody_being_told(bench: Bench) -> None:
    bench.order("activate", "k", playbook="freeze_raises")
    held = _made(bench, "a-1")
    bench.clock.time_us += HOUR_US - 1
    still_held = _made(bench, "a-2")
    bench.clock.time_us += 1

    free = _made(bench, "a-3")

    assert [one.decision.activations for one in (held, still_held, free)] == [(FREEZE,), (FREEZE,), ()]
    assert free.decision.mode_id == "normal"


def test_a_clock_that_is_set_back_revives_no_activation(bench: Bench) -> None:
    bench.order("activate", "k", playbook="freeze_raises")
    bench.clock.time_us += HOUR_US
    _made(bench, "a-1")
    bench.clock.time_us -= HOUR_US // 2
    another = Bench(bench.store, bench.clock)

    after = [_made(one, f"a-{place}") for place, one in enumerate((bench, another), 2)]

    assert [one.decision.activations for one in after] == [(), ()]
    assert after[1].decision.decided_us > NOW_US + HOUR_US - 1


def test_engines_whose_machines_disagree_by_five_minutes_agree_on_what_is_in_force() -> None:
    store = MemoryStore(lambda: 0)
    early, late = StillClock(NOW_US - 5 * MINUTE_US), StillClock(NOW_US + 5 * MINUTE_US)
    one, other = Bench(store, early), Bench(store, late)
    clock = StillClock()
    store.now_us = clock.now_us
    one.order("activate", "k", playbook="freeze_raises", ttl_seconds=60)

    inside = [_made(bench, f"in-{place}") for place, bench in enumerate((one, other))]
    clock.time_us += MINUTE_US
    outside = [_made(bench, f"out-{place}") for place, bench in enumerate((one, other))]

    assert [made.decision.activations for made in inside] == [(FREEZE,), (FREEZE,)]
    assert [made.decision.activations for made in outside] == [(), ()]


def test_a_pending_activation_decides_nothing_and_lapses_where_nobody_approves(bench: Bench) -> None:
    pending = bench.order("activate", "k", playbook="read_only").activation
    _made(bench, "a-1")
    bench.clock.time_us += HOUR_US

    with pytest.raises(errors.ActivationOver) as caught:
        bench.order("approve", "late", number=1, caller="ada")

    assert state_of(pending, NOW_US) is ActivationState.PENDING_APPROVAL
    assert caught.value.metadata["state"] == "lapsed"


def test_the_time_to_live_counts_from_the_last_approval(bench: Bench) -> None:
    bench.order("activate", "k", playbook="rollback_policy", parameters={"to_version": "reference-2026-2"})
    bench.clock.time_us += 10 * MINUTE_US

    approved = bench.order("approve", "a", number=1, caller="ada", reason="seen").activation

    assert bench.store.playbooks.activation(1) == approved
    assert approved.approvals == (Approval("ada", NOW_US + 10 * MINUTE_US, "seen"),)
    assert approved.from_us == NOW_US + 10 * MINUTE_US
    assert approved.until_us == approved.from_us + HOUR_US


def test_what_waits_for_approval_cant_be_approved_beside_what_came_in_between(bench: Bench) -> None:
    bench.order("activate", "k", playbook="refer_to_review", parameters={"good_version": "reference-2026-2"})
    with pytest.raises(errors.PlaybookConflict):
        bench.order("activate", "other", playbook="static_scorecard")

    assert bench.order("approve", "a", number=1, caller="ada").mode.measures


def test_who_activated_what_needs_approval_cant_extend_it_alone(bench: Bench) -> None:
    bench.order("activate", "k", playbook="rollback_policy", parameters={"to_version": "reference-2026-2"})
    bench.order("approve", "a", number=1, caller="ada")

    with pytest.raises(errors.ApprovalRefused):
        bench.order("extend", "e", number=1, ttl_seconds=7_200)
    longer = bench.order("extend", "e2", number=1, ttl_seconds=7_200, caller="oscar")

    assert longer.activation.until_us == NOW_US + 2 * HOUR_US


def test_a_mix_of_builds_is_refused_unless_forced_and_forcing_is_loud(bench: Bench) -> None:
    _see(bench, EngineSeen("engine-1", "b1", "c1", "p1", NOW_US), EngineSeen("engine-2", "b2", "c1", "p1", NOW_US))
    with pytest.raises(errors.BuildMix) as caught:
        bench.order("activate", "k", playbook="freeze_raises")

    forced = bench.order("activate", "k2", playbook="freeze_raises", is_forced=True)

    assert "engine-1" in caught.value.metadata["engines"]
    assert "engine-2" in caught.value.metadata["engines"]
    assert forced.activation.is_forced
    assert [one.severity for one in bench.store.outbox.messages("alert", (MessageState.WAITING,), NUMBER_MAX, 1)] == [
        "critical"
    ]
    bench.clock.time_us += 2 * MINUTE_US
    assert bench.order("activate", "k3", playbook="freeze_reductions").activation.number == 2


def _see(bench: Bench, *engines: EngineSeen) -> None:
    with transaction(bench.store, bench.control):
        for engine in engines:
            bench.store.playbooks.note_engine(engine, NOW_US - 10 * MINUTE_US)


def test_an_engine_whose_build_lacks_the_playbook_decides_nothing_and_can_still_end_it(bench: Bench) -> None:
    before = _made(bench, "a-0")
    bench.order("activate", "k", playbook="freeze_raises")
    lacking = registry.Registry(
        {(one.name, one.version): one for one in registry.load().all() if one.name != "freeze_raises"}
    )
    bench.control.playbooks = lacking
    bench.control.forget()

    (refused,) = bench.execute(command(request_id="r-2", account_id="a-2"))
    (replayed,) = bench.execute(command(request_id=before.decision.request_id, account_id="a-0"))
    bench.order("end", "e", number=1)

    assert isinstance(refused, errors.BuildLacksPlaybook)
    assert isinstance(replayed, Decided)
    assert replayed.replayed
    assert _made(bench, "a-3").decision.mode_id == "normal"


def test_a_module_of_another_content_is_another_playbook(bench: Bench) -> None:
    bench.order("activate", "k", playbook="freeze_raises")
    tampered = {
        (one.name, one.version): one._replace(content_hash="0" * 64) for one in registry.load().all()
    }  # fmt: skip
    bench.control.playbooks = registry.Registry(tampered)
    bench.control.forget()

    (refused,) = bench.execute(command())

    assert isinstance(refused, errors.BuildLacksPlaybook)


def test_no_mode_id_is_used_twice_and_no_batch_mixes_modes(bench: Bench) -> None:
    seen = ["normal"]
    for turn in range(4):
        number = bench.order("activate", f"on-{turn}", playbook="freeze_raises").activation.number
        batch = bench.execute(
            *(command(request_id=f"{turn}-{place}", account_id=f"b-{turn}-{place}") for place in range(3))
        )
        modes = {one.decision.mode_id for one in batch if isinstance(one, Decided)}
        assert len(modes) == 1
        seen += modes
        bench.order("end", f"off-{turn}", number=number)

    assert len(set(seen)) == 5


def test_a_refused_change_leaves_no_mark(bench: Bench) -> None:
    bench.order("activate", "k", playbook="freeze_raises")
    before = (
        bench.store.playbooks.last_change(),
        bench.store.outbox.messages("alert", (MessageState.WAITING,), NUMBER_MAX, 9),
    )

    for action, key, said in (
        ("activate", "a", {"playbook": "freeze_raises"}),
        ("activate", "b", {"playbook": "no_such"}),
        ("approve", "c", {"number": 1, "caller": "ada"}),
        ("end", "d", {"number": 9}),
        ("extend", "e", {"number": 1, "ttl_seconds": 1}),
    ):
        with pytest.raises(errors.HoldlineError):
            bench.order(action, key, **said)

    assert before == (
        bench.store.playbooks.last_change(),
        bench.store.outbox.messages("alert", (MessageState.WAITING,), NUMBER_MAX, 9),
    )


def test_a_key_that_was_used_answers_with_what_became_of_its_activation(bench: Bench) -> None:
    bench.order("activate", "k", playbook="freeze_raises")
    bench.order("end", "e", number=1)

    again = bench.order("activate", "k", playbook="freeze_raises")
    with pytest.raises(errors.IdempotencyKeyReused):
        bench.order("activate", "k", playbook="freeze_reductions")

    assert again.replayed
    assert state_of(again.activation, NOW_US) is ActivationState.ENDED


def test_changes_that_roll_back_are_gone(bench: Bench) -> None:
    def fail() -> None:
        with transaction(bench.store, bench.control):
            bench.store.outbox.send("alert", "info", "{}", NOW_US)
            bench.store.playbooks.add_growth("CNY", 1, 5, 0)
            bench.store.playbooks.keep_baseline(Baseline(0, "revolving", 1, 2, "me", "{}"))
            raise errors.StoreUnavailable(kind="test")

    with pytest.raises(errors.StoreUnavailable):
        fail()

    assert bench.store.outbox.messages("alert", (MessageState.WAITING,), NUMBER_MAX, 9) == []
    assert bench.store.playbooks.growth(0) == []
    assert bench.store.playbooks.baselines() == []


def test_messages_wait_in_order_until_they_are_delivered_or_given_up(bench: Bench) -> None:
    store = bench.store.outbox
    with transaction(bench.store, bench.control):
        for place in range(3):
            store.send("alert", "info", f'"{place}"', NOW_US)
        store.send("alert", "info", '"later"', NOW_US + 1)
    first, second, third = store.due("alert", NOW_US, 10)
    with transaction(bench.store, bench.control):
        store.update(first.sequence, NOW_US, 1, MessageState.DELIVERED)
        store.update(second.sequence, NOW_US + MINUTE_US, 1, MessageState.WAITING)
        store.update(third.sequence, NOW_US, 12, MessageState.DEAD)

    assert [one.body for one in (first, second, third)] == ['"0"', '"1"', '"2"']
    assert first.sequence < second.sequence < third.sequence
    assert store.due("alert", NOW_US, 10) == []
    assert [one.body for one in store.due("alert", NOW_US + MINUTE_US, 10)] == ['"later"', '"1"']
    assert [(one.body, one.attempts) for one in store.messages("alert", (MessageState.DEAD,), NUMBER_MAX, 10)] == [
        ('"2"', 12)
    ]


def test_growth_adds_up_by_currency_and_minute_and_old_minutes_go(bench: Bench) -> None:
    store = bench.store.playbooks
    with transaction(bench.store, bench.control):
        store.add_growth("CNY", 100, 5, 0)
        store.add_growth("CNY", 100, 7, 0)
        store.add_growth("EUR", 160, 1, 0)
        store.add_growth("CNY", 170, 2, 150)

    assert sorted(store.growth(0)) == [("CNY", 170, 2), ("EUR", 160, 1)]
    assert store.growth(165) == [("CNY", 170, 2)]


def test_engines_are_seen_anew_and_forgotten(bench: Bench) -> None:
    _see(bench, EngineSeen("old", "b", "c", "p", NOW_US - 60 * MINUTE_US), EngineSeen("e", "b", "c", "p", NOW_US))
    _see(bench, EngineSeen("e", "b2", "c", "p", NOW_US + 1))

    assert bench.store.playbooks.engines(0) == [EngineSeen("e", "b2", "c", "p", NOW_US + 1)]
    assert bench.store.playbooks.engines(NOW_US + 2) == []


def test_the_newest_baseline_of_a_product_counts(bench: Bench) -> None:
    with transaction(bench.store, bench.control):
        for product, content in (("revolving", "1"), ("instalment", "2"), ("revolving", "3")):
            bench.store.playbooks.keep_baseline(Baseline(0, product, NOW_US, 10, "olga", content))

    found = {one.product: (one.version, one.content) for one in bench.store.playbooks.baselines()}

    assert found == {"instalment": (2, "2"), "revolving": (3, "3")}


def test_a_baseline_is_found_by_its_key_and_one_without_by_none(bench: Bench) -> None:
    own = Baseline(0, "revolving", NOW_US, 10, "olga", "1", "olga/k", b"f", "a new product")
    with transaction(bench.store, bench.control):
        for baseline in (Baseline(0, "revolving", NOW_US, 10, "holdline:sentry", "0"), own):
            bench.store.playbooks.keep_baseline(baseline)

    assert bench.store.playbooks.baseline("olga/k") == own._replace(version=2)
    assert bench.store.playbooks.baseline("olga/other") is None
    assert bench.store.playbooks.baseline("") is None


def test_decisions_are_read_forward_and_newest_first(bench: Bench) -> None:
    made = [_made(bench, f"a-{place}").decision for place in range(4)]

    looks = [look_at(Decided(one, "revolving", "CNY", replayed=True)) for one in made]

    forward = bench.store.looks_after(made[0].number, 2)
    backward = bench.store.looks_before(made[3].number, 2)
    newest = [one.decision for one in bench.store.decisions_before(made[3].number, 2)]

    assert forward == looks[1:3]
    assert backward == [looks[2], looks[1]]
    assert (forward[0].move, forward[0].is_plain, forward[0].behaviour_days) == (1, True, 0)
    assert newest == [made[2], made[1]]


def test_a_mode_that_is_over_still_replays_its_decisions(bench: Bench) -> None:
    bench.order("activate", "k", playbook="freeze_raises")
    _made(bench, "a-1")
    bench.order("end", "e", number=1)
    bench.execute(command(Kind.IMPORT, request_id="i", account_id="a-9", product="revolving", import_limit_minor=500_000,
                          import_currency="CNY", news=news(dpd_now=70)))  # fmt: skip
    bench.order("activate", "k2", playbook="freeze_reductions")
    held = _made(bench, "a-9", Kind.REDUCE)
    bench.order("end", "e2", number=2)

    assert isinstance(bench.store, SqliteStore | MemoryStore)
    replayed = replay(bench.store, Bench(bench.store, bench.clock).control)

    assert held.decision.reasons[0] == "CUT_HELD_FOR_REVIEW"
    assert replayed.decisions == 3
    assert replayed.differences == ()
    assert PlaybookDesk(bench.store, bench.control).mode().mode.mode_id == "normal"
