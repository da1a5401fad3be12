"""What was compiled beside the engine decides as what the engine would have compiled, and is never needed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from holdline.v1 import policy_service_pb2

from service import bootstrap
from service.domain.decision import Kind
from service.domain.errors import InvalidRequest
from service.domain.facts import CHARACTERISTICS
from service.domain.policy import Policy
from service.engine.beside import Preparation
from service.engine.desks.policies import PolicyOrder
from service.engine.ports.codec import Call
from service.policies.handover import KEPT_MAX, HandedOver, Handover
from service.rpc.methods import INDEX_OF, PUBLISH
from service.storage.memory.store import MemoryStore
from service.storage.sqlite.store import SqliteStore
from service.telemetry import engine_meters
from tests.builders import REFERENCE, Bench, StillClock, command, document, settings

DOCUMENT = document()


class Compiler:
    """Counts what it compiles."""

    def __init__(self) -> None:
        self.compiled: list[str] = []

    def __call__(self, text: str, *, is_new: bool = False) -> tuple[Policy, str]:
        """Compile a document."""
        self.compiled.append(text)
        return bootstrap.read_policy(text, is_new=is_new)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "policies"


def _call(name: str, body: bytes) -> Call:
    return Call(INDEX_OF[f"/holdline.v1.PolicyService/{name}"], "ann", 1 << 62, "", body)


def _cases(policy: Policy) -> Iterator[tuple[object, ...]]:
    """Give what a policy's generated functions make of some values, the bounds of each fact among them."""
    lows, highs = ([getattr(one, end) for one in CHARACTERISTICS] for end in ("lowest", "highest"))
    for values in (lows, highs, [None] * len(lows), [(low + high) // 2 for low, high in zip(lows, highs, strict=True)]):
        observed = [0] * len(values)
        yield policy.usable(values, observed, 10**16)
        yield policy.points(values)
        yield policy.ineligible(values, values)
        for sift in (policy.knocked_out_of_first, policy.knocked_out_of_raise, policy.fired, policy.referred):
            yield sift(values)


def test_what_is_handed_over_is_what_compiling_gives(folder: Path) -> None:
    gives, takes = Compiler(), Compiler()
    HandedOver(gives, Handover(folder, "b"), gives=True)(DOCUMENT)

    policy, content_hash = HandedOver(takes, Handover(folder, "b"), gives=False)(DOCUMENT)

    expected, expected_hash = bootstrap.read_policy(DOCUMENT)
    assert takes.compiled == []
    assert content_hash == expected_hash
    assert list(_cases(policy)) == list(_cases(expected))
    for name in Policy.__dataclass_fields__:
        if not callable(getattr(expected, name)):
            assert getattr(policy, name) == getattr(expected, name), name
    assert folder.stat().st_mode & 0o077 == 0


def test_nothing_is_taken_of_another_text_or_build_or_of_a_new_document(folder: Path) -> None:
    HandedOver(Compiler(), Handover(folder, "b"), gives=True)(DOCUMENT)
    takes = Compiler()

    HandedOver(takes, Handover(folder, "other"), gives=False)(DOCUMENT)
    HandedOver(takes, Handover(folder, "b"), gives=False)(DOCUMENT + "# more\n")
    HandedOver(takes, Handover(folder, "b"), gives=False)(DOCUMENT, is_new=True)

    assert len(takes.compiled) == 3


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x05cno_module\nno_name\n."])
def test_a_broken_one_is_compiled_anew(folder: Path, content: bytes) -> None:
    HandedOver(Compiler(), Handover(folder, "b"), gives=True)(DOCUMENT)
    (place,) = folder.iterdir()
    place.write_bytes(content)
    takes = Compiler()

    HandedOver(takes, Handover(folder, "b"), gives=False)(DOCUMENT)

    assert takes.compiled == [DOCUMENT]


def test_promoting_and_going_back_compile_nothing_in_the_engine(folder: Path, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "holdline.db", bootstrap.now_us)
    compiler = Compiler()
    takes = HandedOver(compiler, Handover(folder, "b"), gives=False)
    engine = bootstrap.make_engine(store, settings(), engine_meters(None), reader=takes)
    reading = SqliteStore(tmp_path / "holdline.db", bootstrap.now_us, read_only=True)
    gives = HandedOver(bootstrap.read_policy, Handover(folder, "b"), gives=True)
    reader, preparation = bootstrap.make_reader(reading, settings(), gives)
    while preparation.step():
        pass
    text = yaml.safe_dump({**yaml.safe_load(DOCUMENT), "policy": "v-1"}, allow_unicode=True)
    publish = policy_service_pb2.PublishPolicyRequest(request_id="p", document=text)
    promote = policy_service_pb2.PromotePolicyRequest(
        request_id="q", version="v-1", target_state=policy_service_pb2.POLICY_STATE_ACTIVE, reason="better"
    )
    back = policy_service_pb2.RollbackPolicyRequest(
        request_id="r", product="revolving", from_version="v-1", to_version=REFERENCE, reason="worse"
    )
    compiler.compiled.clear()

    checked = reader.query(_call("PublishPolicy", publish.SerializeToString()))
    calls = [
        _call("PublishPolicy", b"")._replace(method=PUBLISH, body=checked.body),
        _call("PromotePolicy", promote.SerializeToString()),
        _call("RollbackPolicy", back.SerializeToString()),
    ]
    codes = []
    for call in calls:
        codes.append(dict(engine.answers([call], 0))[0].code)
        # The next transaction is the one that looks at what is in force.
        engine.report_in(bootstrap.engine_seen("e"))
    reading.close()
    store.close()

    assert (checked.code, codes) == (0, [0, 0, 0])
    assert compiler.compiled == []


def test_documents_that_are_none_are_refused_and_not_handed_over(folder: Path) -> None:
    with pytest.raises(InvalidRequest):
        HandedOver(bootstrap.read_policy, Handover(folder, "b"), gives=True)("policy: 1")

    assert list(folder.iterdir()) == []


def test_a_folder_that_has_gone_costs_time_alone(folder: Path) -> None:
    reader = HandedOver(Compiler(), Handover(folder, "b"), gives=True)
    folder.rmdir()

    assert reader(DOCUMENT)[0].version


def test_the_folder_keeps_the_newest(folder: Path) -> None:
    handover = Handover(folder, "b")
    handover.put("newest", bootstrap.read_policy(DOCUMENT))
    for place in range(KEPT_MAX + 2):
        old = folder / str(place)
        old.write_bytes(b"")
        os.utime(old, (place, place))

    handover.put("another", bootstrap.read_policy(DOCUMENT))

    assert len(list(folder.iterdir())) == KEPT_MAX
    assert handover.find("newest") is not None


def test_every_version_that_may_come_back_is_prepared_once_and_a_bad_one_stops_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(MemoryStore(StillClock().now_us))
    bench.execute(command(Kind.ASSIGN))
    tree = yaml.safe_load(DOCUMENT)
    for number in range(3):
        text = yaml.safe_dump({**tree, "policy": f"v-{number}"})
        bench.policies.change(PolicyOrder("publish", f"k/{number}", b"", "ada", document=text))
    failing = Compiler()

    def prepare(text: str) -> None:
        if "v-1" in text:
            raise InvalidRequest(())
        HandedOver(failing, Handover(folder, "b"), gives=True)(text)

    monkeypatch.setattr(bench.policies, "prepare", prepare)
    steps = Preparation(bench.policies.unprepared)
    turns = 0
    while steps.step():
        turns += 1

    assert turns == len(bench.policies.records(""))
    assert len(failing.compiled) == turns - 1
    assert not steps.step()
