"""What no mending of a request helps is said before what is wrong with the request: the state of things comes first."""

from collections.abc import Callable

import pytest

from service import bootstrap
from service.domain import errors
from service.domain.account import Status
from service.domain.daily_run import Closing, ClosingState
from service.domain.decide import check
from service.domain.decision import Ask, Kind
from service.domain.draw import DrawKind, Hold, HoldState, post
from service.domain.policy_life import PolicyState
from service.engine.acts import Order
from service.engine.desks.policies import PolicyOrder
from service.storage.memory.store import MemoryStore
from tests.builders import DAY_US, NOW_US, REFERENCE, TODAY, Bench, account, command, document, draw, settings

EUR = ((2, "EUR"),)


def _hold(state: HoldState, expires_us: int = NOW_US + DAY_US) -> Hold:
    return Hold("a-1", 7, state, 1_000, 0, NOW_US - DAY_US, expires_us)


@pytest.mark.parametrize("kind", [DrawKind.CAPTURE, DrawKind.VOID])
@pytest.mark.parametrize(
    "hold", [_hold(HoldState.CAPTURED), _hold(HoldState.VOIDED), _hold(HoldState.EXPIRED), _hold(HoldState.OPEN, NOW_US)]
)  # fmt: skip
def test_a_hold_that_is_over_is_over_whatever_is_asked_of_it(kind: DrawKind, hold: Hold) -> None:
    asked = draw(kind, amount_minor=10**15, hold_number=7, currency="EUR")

    with pytest.raises(errors.HoldOver):
        post(asked, account(), hold, "v", "normal", NOW_US)


def test_a_closed_account_takes_no_draw_and_an_applicant_none_in_any_currency() -> None:
    for status, error in ((Status.CLOSED, errors.AccountClosed), (Status.APPLICANT, errors.NoLimitAssigned)):
        with pytest.raises(error):
            post(draw(currency="EUR"), account(status=status), None, "v", "normal", NOW_US)


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        *((kind, Status.CLOSED, errors.AccountClosed) for kind in Kind),
        (Kind.ASSIGN, Status.ACTIVE, errors.AccountExists),
        (Kind.IMPORT, Status.ACTIVE, errors.AccountExists),
        *((kind, Status.APPLICANT, errors.NoLimitAssigned) for kind in (Kind.RAISE, Kind.REDUCE, Kind.REVIEW)),
        (Kind.TEMPORARY, Status.APPLICANT, errors.NoLimitAssigned),
    ],
)  # fmt: skip
def test_what_the_account_rules_out_is_said_before_currency_product_time_and_version(
    kind: Kind, status: Status, error: type[errors.HoldlineError]
) -> None:
    asked = command(
        kind, news_currencies=EUR, product="instalment", expected_version=99, import_currency="EUR",
        asked=Ask(1, 0, is_ordered=True), asked_currency="EUR",
    )  # fmt: skip

    with pytest.raises(error):
        check(asked, account(status=status), NOW_US)


@pytest.fixture
def bench() -> Bench:
    return Bench(MemoryStore(bootstrap.now_us))


@pytest.mark.parametrize("action", ["approve", "extend", "end"])
@pytest.mark.parametrize("ends", ["ended", "lapsed"])
def test_an_activation_that_is_over_is_over_whatever_is_asked_of_it(bench: Bench, action: str, ends: str) -> None:
    number = bench.order("activate", "k-1", playbook="freeze_raises").activation.number
    if ends == "ended":
        bench.order("end", "k-2", number=number)
    else:
        bench.clock.time_us += 2 * DAY_US
    bench.order("activate", "k-3", playbook="freeze_raises")

    with pytest.raises(errors.ActivationOver):
        bench.order(action, "k-4", number=number, ttl_seconds=-1)


def test_a_day_that_is_closed_is_closed_however_far_it_lies_back(bench: Bench) -> None:
    runs = bootstrap.make_parts(bench.store, settings(), bootstrap.read_policy).runs
    day = TODAY - 60
    bench.store.begin()
    bench.store.runs.enter_closing(Closing(day, ClosingState.CLOSED, "olga", 1, 2, "", "", 0, 0, (), ""))
    bench.store.commit()

    with pytest.raises(errors.DayClosed):
        runs.start(Order("start", "olga/1", b"1", "olga", business_day=day))
    report, _ = runs.close(Order("close", "olga/2", b"2", "olga", business_day=day))
    assert report.closing.state is ClosingState.CLOSED


def _ordered(action: str, version: str) -> Callable[[Bench], object]:
    order = PolicyOrder(action, f"tests/{action}", b"f", "ann", version=version)
    return lambda bench: bench.policies.change(order)


def test_a_versions_state_is_said_before_what_its_currency_rules_out(bench: Bench) -> None:
    published = document().replace("currency: CNY", "currency: EUR").replace(f"policy: {REFERENCE}", "policy: euro-1")
    bench.policies.change(PolicyOrder("publish", "tests/p", b"p", "ann", document=published))

    with pytest.raises(errors.PolicyStateRefused):
        _ordered("rollback", "euro-1")(bench)
    with pytest.raises(errors.PolicyNotFound, match="currency is CNY"):
        _ordered("promote", "euro-1")(bench)
    record = bench.store.policy("euro-1")
    assert record is not None
    assert record.state is PolicyState.DRAFT
