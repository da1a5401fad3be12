"""A first baseline is learned a step a turn, from the decisions that were seen, whatever fails in between."""

import json

import pytest
from holdline.v1 import playbook_service_pb2

from service.bootstrap import make_control
from service.domain.decision import Criticality, Kind
from service.domain.errors import StoreUnavailable
from service.domain.facts import FACTS
from service.domain.watch import Look
from service.engine.ports.codec import Call
from service.rpc.methods import INDEX_OF
from service.rpc.sentry import BREATH_DECISIONS, SentryCodec
from service.sentry import process
from service.sentry.process import LEARNED_AT_ONCE, Sentry
from service.storage.memory.store import MemoryStore
from tests.builders import Bench, StillClock, command
from tests.sentries import Engine, sentry_of

DECISIONS = 1_200
STEPS = DECISIONS // LEARNED_AT_ONCE + 1 + len(FACTS)
TURNS_MAX = 3 * STEPS


@pytest.fixture
def store() -> MemoryStore:
    bench = Bench(found := MemoryStore(StillClock().now_us))
    for start in range(0, DECISIONS, 400):
        bench.execute(
            *(command(Kind.ASSIGN, request_id=f"r-{n}", account_id=f"a-{n}") for n in range(start, start + 400))
        )
    return found


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def sentry(store: MemoryStore, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Sentry:
    monkeypatch.setattr(process, "LEARNING_SECONDS", 0.0)
    return sentry_of(store, engine, DECISIONS)


def _turns(sentry: Sentry, engine: Engine) -> int:
    """Turn until a baseline is kept; gives how often."""
    for turns in range(1, TURNS_MAX):
        sentry.turn()
        if engine.kept:
            return turns
    raise AssertionError("no baseline was learned")


def test_it_takes_as_many_turns_as_steps_and_gives_what_learning_at_once_gives(sentry: Sentry, engine: Engine) -> None:
    turns = _turns(sentry, engine)

    assert turns >= STEPS
    assert engine.kept == [sentry.learn("revolving", DECISIONS, "holdline:sentry")]
    assert engine.kept[0].decisions == DECISIONS


def test_a_step_that_fails_begins_anew(
    sentry: Sentry, engine: Engine, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    read = store.looks_before

    def failing(number: int, count: int) -> list[Look]:
        reads.append(number)
        if len(reads) == 2:
            raise StoreUnavailable("once")
        return read(number, count)

    monkeypatch.setattr(store, "looks_before", failing)

    _turns(sentry, engine)

    assert reads[2] == reads[0]
    assert engine.kept[0].decisions == DECISIONS


def test_a_baseline_waits_for_an_engine_that_is_away(sentry: Sentry, engine: Engine) -> None:
    engine.is_away = True
    for _ in range(2 * STEPS):
        sentry.turn()
    engine.is_away = False

    assert _turns(sentry, engine) == 1
    assert engine.kept[0].decisions == DECISIONS


def _imported(bench: Bench, first: int, count: int) -> None:
    bench.execute(
        *(
            command(
                Kind.IMPORT, request_id=f"i-{n}", account_id=f"i-{n}", product="revolving", import_limit_minor=100_000,
                import_currency="CNY",
            )
            for n in range(first, first + count)
        )
    )  # fmt: skip


def test_imports_before_between_and_after_are_neither_counted_nor_learned(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LEARNING_SECONDS", 0.0)
    bench = Bench(store := MemoryStore(StillClock().now_us))
    sentry = sentry_of(store, engine, DECISIONS)
    _imported(bench, 0, 2 * DECISIONS)
    for _ in range(2 * STEPS):
        sentry.turn()
    assert engine.kept == []

    for start in range(0, DECISIONS, 400):
        bench.execute(
            *(command(Kind.ASSIGN, request_id=f"r-{n}", account_id=f"a-{n}") for n in range(start, start + 400))
        )
        _imported(bench, 10_000 + start, 400)
    _turns(sentry, engine)

    assert engine.kept[0].decisions == DECISIONS
    assert json.loads(engine.kept[0].content)["rates"]["assign_rate"] == [DECISIONS, DECISIONS]


def test_a_baseline_asked_for_reaches_past_an_import_and_none_is_made_of_it(store: MemoryStore, sentry: Sentry) -> None:
    bench = Bench(store)
    _imported(bench, 0, 2_000)

    assert sentry.learn("revolving", DECISIONS, "olga").decisions == DECISIONS
    assert sentry.learn("instalment", DECISIONS, "olga").decisions == 0


def test_guards_take_their_turns_in_the_midst_of_a_long_preview(
    store: MemoryStore, sentry: Sentry, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "TURN_SECONDS", 0.0)
    request = playbook_service_pb2.PreviewPlaybookRequest(name="freeze_raises", decisions=100_000)
    method = INDEX_OF["/holdline.v1.PlaybookService/PreviewPlaybook"]
    call = Call(method, "olga", 0, "", request.SerializeToString(), Criticality.INTERACTIVE)

    answer = SentryCodec(store, make_control(), sentry).query(call)

    found = playbook_service_pb2.PreviewPlaybookResponse.FromString(answer.body)
    assert (answer.code, found.decisions) == (0, DECISIONS)
    assert engine.reports == DECISIONS // BREATH_DECISIONS


def test_guards_take_their_turns_in_the_midst_of_learning_that_was_asked_for(
    sentry: Sentry, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "TURN_SECONDS", 0.0)

    sentry.learn("revolving", DECISIONS, "olga")

    assert engine.reports >= STEPS


def test_no_turn_is_taken_before_it_is_due(sentry: Sentry, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TURN_SECONDS", 3_600.0)
    sentry.turn()

    sentry.learn("revolving", DECISIONS, "olga")

    assert engine.reports == 1
