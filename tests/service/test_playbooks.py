"""On-call over the wire: activations, approvals, roles, scopes, watching, previews, the queue."""

import asyncio
import os
import signal
import threading

import grpc
import pytest
from holdline.client import AsyncClient, Budget, Client, InvalidRequest, Retry, Unavailable
from holdline.v1 import decision_pb2
from holdline.v1 import playbook_service_pb2 as pb
from holdline.v1 import playbook_service_pb2_grpc as grpc_pb

from service.local_server import Server
from tests.proof.journal import ONCE, wait_until
from tests.service.oncall import As, refused
from tests.service.wire import assign, facts, fresh, refusal, title_of

HOUR = 3_600
APPROVED, UNCHANGED = decision_pb2.OUTCOME_APPROVED, decision_pb2.OUTCOME_UNCHANGED


def _raise(client: Client, account_id: str) -> decision_pb2.Decision:
    return client.decide(account_id, "raise").decision


def _customer(client: Client, **said: int) -> str:
    account_id = fresh("oncall")
    client.send(assign(account_id=account_id, facts=facts(**said)))
    return account_id


def test_an_activation_decides_from_the_next_call_on_until_it_is_ended(as_: As) -> None:
    shop, olga = as_("shop"), as_("olga")
    before, held, after = (_customer(shop) for _ in range(3))

    free = _raise(shop, before)
    activated = olga.activate("freeze_raises", ttl_seconds=HOUR, reason="exposure grows")
    frozen = _raise(shop, held)
    explained = shop.explain(frozen.decision_id)
    ended = olga.end_activation(activated.activation.activation_id, reason="over")
    again = _raise(shop, after)

    name = f"{activated.activation.activation_id}@freeze_raises/v1"
    assert (free.outcome, free.mode_id, list(free.activations)) == (APPROVED, "normal", [])
    assert activated.activation.state == pb.ACTIVATION_STATE_ACTIVE
    assert (frozen.outcome, frozen.mode_id, list(map(title_of, frozen.activations))) == (
        UNCHANGED,
        activated.mode_id,
        [name],
    )
    assert frozen.new_limit == frozen.old_limit
    assert [reason.code for reason in frozen.reasons] == ["RAISE_KEPT_FOR_LATER"]
    assert {one.language_code for one in explained.summaries if one.text} == {"zh", "en"}
    assert (ended.activation.state, ended.mode_id) == (pb.ACTIVATION_STATE_ENDED, "normal")
    assert ended.activation.ended_by.caller == "olga"
    assert (again.outcome, again.mode_id) == (APPROVED, "normal")


def test_a_retry_of_an_activation_gets_the_recorded_answer_and_the_key_serves_nothing_else(as_: As) -> None:
    olga = as_("olga")
    order = {"ttl_seconds": HOUR, "reason": "doubt", "request_id": fresh("key")}

    first = olga.activate("cap_growth", **order)  # type: ignore[arg-type]  # of every type.
    second = olga.activate("cap_growth", **order)  # type: ignore[arg-type]  # of every type.
    refused(lambda: olga.activate("freeze_raises", **order), "IDEMPOTENCY_KEY_REUSED")  # type: ignore[arg-type]  # of every type.

    assert (first.replayed, second.replayed) == (False, True)
    assert first.activation == second.activation
    assert [one.activation_id for one in olga.mode().mode.activations] == [first.activation.activation_id]


def test_two_people_must_approve_never_the_activator_and_never_one_twice(as_: As) -> None:
    shop, abe, ada = as_("shop"), as_("abe"), as_("ada")
    pending = abe.activate("read_only", ttl_seconds=600, reason="the disk reports errors")
    activation_id = pending.activation.activation_id

    still_written = shop.send(assign())
    refused(lambda: abe.approve(activation_id), "APPROVAL_REFUSED")
    once = ada.approve(activation_id, note="seen")
    refused(lambda: ada.approve(activation_id), "APPROVAL_REFUSED")
    twice = as_("root").approve(activation_id)
    read_only = refused(lambda: shop.send(assign()), "MODE_READ_ONLY")
    replayed = shop.send(assign(request_id=still_written.decision.request_id,
                                account_id=still_written.account.account_id))  # fmt: skip

    assert pending.activation.state == pb.ACTIVATION_STATE_PENDING_APPROVAL
    assert pending.activation.approvals_needed == 2
    said = [(one.actor.caller, one.note) for one in twice.activation.approvals]
    assert once.activation.state == pending.activation.state
    assert list(once.activation.approvals) == list(twice.activation.approvals)[:1]
    assert (twice.activation.state, said) == (pb.ACTIVATION_STATE_ACTIVE, [("ada", "seen"), ("root", "")])
    assert twice.activation.approvals[1].at == twice.activation.active_from
    assert read_only.metadata["activation_id"] == activation_id
    assert replayed.replayed
    assert shop.account(still_written.account.account_id).version == 1


def test_broken_glass_needs_no_approval_and_everybody_is_told(as_: As, guarded: Server) -> None:
    broken = as_("olga").activate("read_only", ttl_seconds=60, reason="nobody answers", break_glass=True)
    told = alerts(guarded)

    assert broken.activation.state == pb.ACTIVATION_STATE_ACTIVE
    assert broken.activation.break_glass
    assert any(
        severity == "critical" and '"break_glass": 1' in body and broken.activation.activation_id in body
        for severity, body in told
    )


def alerts(server: Server) -> list[tuple[str, str]]:
    from tests.builders import sqlite

    store = sqlite(server.ready.parent / "holdline.db", read_only=True)
    try:
        rows = store._run("SELECT severity, body FROM outbox WHERE account_id = '' ORDER BY sequence DESC LIMIT 50")
    finally:
        store.close()
    return [(severity, body) for severity, body in rows]


def test_a_scope_covers_its_product_segment_and_share_only(as_: As) -> None:
    shop, olga = as_("shop"), as_("olga")
    scope = pb.Scope(product="revolving", ranges=[pb.FactRange(fact="bureau_score", lowest=300, highest=700)])
    low, high = _customer(shop, bureau_score=690), _customer(shop, bureau_score=760)
    olga.activate("freeze_raises", ttl_seconds=60, reason="young accounts", scope=scope)

    inside, outside = _raise(shop, low), _raise(shop, high)

    assert [reason.code for reason in inside.reasons] == ["RAISE_KEPT_FOR_LATER"]
    assert outside.outcome == APPROVED
    assert (len(inside.activations), len(outside.activations)) == (1, 0)
    assert inside.mode_id == outside.mode_id != "normal"


def test_an_activation_is_pinned_to_its_version_and_two_versions_decide_each_its_way(as_: As) -> None:
    shop, olga = as_("shop"), as_("olga")
    old = olga.activate("cap_growth", version=1, ttl_seconds=60, reason="v1", parameters={"per_decision_bp": 0})
    by_old = _raise(shop, _customer(shop))
    olga.end_activation(old.activation.activation_id, reason="next")
    new = olga.activate("cap_growth", ttl_seconds=60, reason="v2", parameters={"per_window_bp": 10})
    by_new = _raise(shop, _customer(shop))

    assert (old.activation.version, new.activation.version) == (1, 2)
    assert list(map(title_of, by_old.activations)) == [f"{old.activation.activation_id}@cap_growth/v1"]
    assert list(map(title_of, by_new.activations)) == [f"{new.activation.activation_id}@cap_growth/v2"]
    assert {one.name: one.value.whole for one in new.activation.parameters} == {
        "per_decision_bp": 100,
        "first_limit_bp": 5_000,
        "per_window_bp": 10,
    }


def test_an_activation_is_extended_from_now_on_and_never_shortened(as_: As) -> None:
    olga = as_("olga")
    activation_id = olga.activate("freeze_raises", ttl_seconds=600, reason="r").activation.activation_id

    longer = olga.extend(activation_id, ttl_seconds=1_200, reason="not over")
    shorter = refused(lambda: olga.extend(activation_id, ttl_seconds=60, reason="r"), "INVALID_REQUEST")
    beyond = refused(lambda: olga.extend(activation_id, ttl_seconds=10**6, reason="r"), "INVALID_REQUEST")

    span = longer.activation.active_until.ToSeconds() - longer.activation.active_from.ToSeconds()
    assert 1_200 <= span < 1_260
    assert [violation.field for violation in (*shorter.violations, *beyond.violations)] == ["ttl_seconds"] * 2


def test_an_activation_lapses_by_itself(as_: As) -> None:
    shop, olga = as_("shop"), as_("olga")
    before = olga.mode().resume_token
    made = olga.activate("freeze_raises", ttl_seconds=1, reason="short")

    wait_until(lambda: olga.mode().mode.mode_id == "normal", 10, "it lapsed")
    after = _raise(shop, _customer(shop))
    error = refused(lambda: olga.end_activation(made.activation.activation_id, reason="late"), "ACTIVATION_OVER")

    assert after.outcome == APPROVED
    assert error.metadata["state"] == "lapsed"
    states = {one.activation_id: one.state for one in _list(as_, olga)}
    assert states[made.activation.activation_id] == pb.ACTIVATION_STATE_LAPSED
    wait_until(
        lambda: (
            [(change.action, change.actor.caller) for change in next(shop.watch_mode(before)).changes]
            == [(pb.ACTIVATION_ACTION_ACTIVATE, "olga"), (pb.ACTIVATION_ACTION_LAPSE, "holdline:sentry")]
        ),
        30,
        "the lapse is written down, also for the tests that read changes after this one",
    )


def _list(as_: As, client: Client) -> list[pb.Activation]:
    """Page through all activations, two a page."""
    found: list[pb.Activation] = []
    token = ""
    while True:
        page = client._playbooks.ListActivations(
            pb.ListActivationsRequest(page_size=2, page_token=token), metadata=client._metadata, timeout=5
        )
        found += page.activations
        token = page.next_page_token
        if not token:
            return found


def test_a_watcher_hears_of_each_change_and_resumes_where_it_was(as_: As, guarded: Server) -> None:
    olga = as_("olga")
    token = olga.mode().resume_token
    made = olga.activate("freeze_raises", ttl_seconds=HOUR, reason="seen later").activation.activation_id
    olga.end_activation(made, reason="seen later, too")

    late = next(as_("shop").watch_mode(token))
    here = next(as_("shop").watch_mode())

    assert [(change.action, change.activation_id, change.actor.caller) for change in late.changes] == [
        (pb.ACTIVATION_ACTION_ACTIVATE, made, "olga"),
        (pb.ACTIVATION_ACTION_END, made, "olga"),
    ]
    assert [change.sequence for change in late.changes] == sorted(change.sequence for change in late.changes)
    assert (late.mode.mode_id, here.mode.mode_id) == ("normal", "normal")
    assert not here.changes
    assert late.resume_token == here.resume_token


def test_a_watch_lives_through_a_dead_engine_and_a_dead_gateway(as_: As, guarded: Server) -> None:
    seen: list[str] = []
    first = threading.Event()
    over = threading.Event()

    def watch() -> None:
        with Client(guarded.listen, caller="shop", timeout_seconds=30.0) as client:
            for one in client.watch_mode():
                seen.append(one.mode.mode_id)
                first.set()
                if over.is_set() and one.mode.mode_id == "normal":
                    return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    assert first.wait(10)
    pids = guarded.pids()
    with Client(
        guarded.listen, caller="olga", timeout_seconds=30.0, retry=Retry(100), budget=Budget(tokens=100, tokens_max=100)
    ) as olga:
        os.kill(pids["engine"], signal.SIGKILL)
        one = olga.activate("freeze_raises", ttl_seconds=HOUR, reason="after the engine's death")
        for gateway in pids["gateways"]:
            os.kill(gateway, signal.SIGKILL)
        two = olga.activate("freeze_reductions", ttl_seconds=HOUR, reason="after the gateways' death")
        wait_until(lambda: two.mode_id in seen, 20, "the watcher saw the second change")
        over.set()
        for made in (one, two):
            olga.end_activation(made.activation.activation_id, reason="over")
    watcher.join(20)

    assert not watcher.is_alive()
    assert seen[0] == "normal"
    assert seen[-1] == "normal"
    assert two.mode_id in seen


@pytest.mark.parametrize("token", ["x", "999999999999999999:normal", "\u0663:normal", "-1:normal", "1:storm"])
def test_a_bad_resume_token_is_refused(guarded: Server, token: str) -> None:
    with grpc.insecure_channel(guarded.listen) as channel:
        stub = grpc_pb.PlaybookServiceStub(channel)
        metadata = (("x-holdline-caller", "olga"),)

        asked = pb.WatchModeRequest(resume_token=token)
        found = refusal(lambda: next(stub.WatchMode(asked, metadata=metadata, timeout=10)))

    assert (found.code, found.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("resume_token",))


def test_a_preview_counts_what_a_playbook_would_have_changed_and_writes_nothing(as_: As) -> None:
    shop, olga = as_("shop"), as_("olga")
    for _ in range(5):
        _raise(shop, _customer(shop))
    before = olga.mode().resume_token

    found = olga.preview("freeze_raises", decisions=10)
    nobody = olga.preview("freeze_raises", scope=pb.Scope(product="instalment"), decisions=10)

    assert (found.decisions, found.covered, found.changed) == (10, 10, 10)
    assert {(one.kind, one.was, one.count) for one in found.transitions} == {
        (decision_pb2.DECISION_KIND_ASSIGN, APPROVED, 5),
        (decision_pb2.DECISION_KIND_RAISE, APPROVED, 5),
    }
    assert found.money[0].raised_was.minor_units > 0 == found.money[0].raised_would_be.minor_units
    assert len(found.samples) == 10
    assert all(list(one.reasons_would_be) == ["RAISE_KEPT_FOR_LATER"] for one in found.samples)
    assert found.took_micros > 0
    assert (nobody.covered, nobody.changed) == (0, 0)
    assert olga.mode().resume_token == before


@pytest.mark.parametrize(
    ("scope", "field"),
    [
        (pb.Scope(product="nobodys"), "scope.product"),
        (pb.Scope(ranges=[pb.FactRange(fact="bureau_score", lowest=700, highest=600)]), "scope.ranges[0]"),
        (pb.Scope(ranges=[pb.FactRange(fact="bureau_score", highest=299)]), "scope.ranges[0]"),
    ],
)
def test_a_preview_refuses_the_scope_that_an_activation_does(as_: As, scope: pb.Scope, field: str) -> None:
    with pytest.raises(InvalidRequest) as previewed:
        as_("olga").preview("freeze_raises", scope=scope)
    with pytest.raises(InvalidRequest) as activated:
        as_("olga").activate("freeze_raises", scope=scope, ttl_seconds=60, reason="covers nobody")

    assert [violation.field for violation in previewed.value.violations] == [field]
    assert previewed.value.violations == activated.value.violations


def test_low_priority_is_shed_before_the_queue_and_the_interactive_served(as_: As, guarded: Server) -> None:
    as_("olga").activate("shed_low_priority", ttl_seconds=60, reason="slow")

    with Client(guarded.listen, caller="shop", retry=ONCE, is_batch=True) as batch:
        shed = refused(lambda: batch.send(assign()), "OVERLOADED")
    served = as_("shop").send(assign())

    assert isinstance(shed, Unavailable)
    assert shed.retry_after_seconds > 0
    assert shed.metadata["activation_id"].removeprefix("A").isdecimal()
    assert served.decision.decision_id


def test_the_mode_names_the_engines_and_what_they_are_made_of(as_: As) -> None:
    found = as_("shop").mode()

    assert not found.builds_differ
    assert found.engines
    for one in found.engines:
        assert all(len(part) == 16 for part in (one.build, one.policy_compiler, one.playbooks))


def test_the_asynchronous_client_watches_too(as_: As, guarded: Server) -> None:
    olga = as_("olga")

    async def watch() -> list[str]:
        seen: list[str] = []
        async with AsyncClient(guarded.listen, caller="shop") as client:
            assert (await client.mode()).mode.mode_id == "normal"
            async for one in client.watch_mode():
                seen.append(one.mode.mode_id)
                if len(seen) == 1:
                    await asyncio.to_thread(olga.activate, "freeze_raises", ttl_seconds=60, reason="seen")
                else:
                    return seen
        return seen

    normal, frozen = asyncio.run(watch())

    assert normal == "normal"
    assert frozen == olga.mode().mode.mode_id


def test_a_watch_of_a_server_that_stays_away_ends() -> None:
    with Client("127.0.0.1:1", timeout_seconds=0.5) as client, pytest.raises(Unavailable):
        next(client.watch_mode())
