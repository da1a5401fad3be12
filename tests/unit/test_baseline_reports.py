"""The engine has the last word on the key of a baseline, whatever the sentry saw before it learned."""

import pytest

from service import bootstrap
from service.domain.errors import Refused
from service.domain.watch import Baseline
from service.drill.stage import DirectLine
from service.engine.desks.reports import Report
from service.rpc.sentry import EngineCalls
from service.storage.memory.store import MemoryStore
from tests.builders import NOW_US, read_policy, settings

ORDERED = Baseline(0, "revolving", NOW_US, 2_000, "olga", "{}", "olga/k", b"f", "a new product")


def test_a_baseline_is_kept_once_for_its_key_and_guards_own_each_time() -> None:
    store = MemoryStore(bootstrap.now_us)
    calls = EngineCalls(DirectLine(bootstrap.make_parts(store, settings(), read_policy).codec), 60)

    first = calls.report(Report(0, baseline=ORDERED))
    again = calls.report(Report(0, baseline=ORDERED._replace(content='{"later": 1}')))
    with pytest.raises(Refused):
        calls.report(Report(0, baseline=ORDERED._replace(fingerprint=b"other")))
    own = ORDERED._replace(key="", fingerprint=b"", reason="")
    guards = [calls.report(Report(0, baseline=own)).baseline_version for _ in range(2)]

    assert [(one.baseline_version, one.baseline_replayed) for one in (first, again)] == [(1, False), (1, True)]
    assert guards == [2, 3]
    kept = store.playbooks.baseline("olga/k")
    assert kept is not None
    assert kept == ORDERED._replace(version=1, learned_us=kept.learned_us)
    assert store.has_key("olga/k")
