"""Each RPC is looked up by its full path, so that two services may have RPCs of one name."""

from typing import Any, cast

from service.rpc.accounts import AccountCalls
from service.rpc.draws import PATHS as DRAWS
from service.rpc.draws import DrawCalls
from service.rpc.events import PATHS as EVENTS
from service.rpc.feedback import FeedbackCalls
from service.rpc.limits import LimitCalls
from service.rpc.methods import INDEX_OF, METHODS, REPORT, Shape
from service.rpc.notifications import NotificationCalls
from service.rpc.operations import OperationCalls
from service.rpc.playbooks import PlaybookCalls
from service.rpc.policies import PolicyCalls
from service.rpc.runs import RunCalls

NOBODY = cast("Any", None)
ENGINE = (
    LimitCalls(NOBODY), AccountCalls(NOBODY), DrawCalls(NOBODY), PolicyCalls(NOBODY), PlaybookCalls(NOBODY, NOBODY),
    RunCalls(NOBODY), NotificationCalls(NOBODY), FeedbackCalls(NOBODY), OperationCalls(NOBODY),
)  # fmt: skip
DECIDING = (Shape.DECISION, Shape.BATCH, Shape.STREAM)


def test_every_query_has_one_callee_by_its_full_path() -> None:
    keys = [path for calls in ENGINE for path in calls.queries]
    asked = {one.path for one in METHODS if one.shape not in (*DECIDING, Shape.SENTRY)} - {METHODS[REPORT].path}

    assert sorted(keys) == sorted(set(keys))
    assert set(keys) == asked


def test_what_decides_is_named_by_full_path() -> None:
    assert {*DRAWS, *EVENTS} <= {path for path in INDEX_OF if METHODS[INDEX_OF[path]].shape in DECIDING}
