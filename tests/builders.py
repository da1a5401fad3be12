"""Build what tests need; only what matters is said.

Amounts in minor units, times in microseconds since the epoch UTC, days since 1970-01-01.
"""

from functools import cache, lru_cache
from importlib import resources
from pathlib import Path

from playbooks import registry
from service import bootstrap
from service.domain.account import NEVER, Account, Growth, Status, opened
from service.domain.book import Command
from service.domain.decision import DecideCommand, Kind, Moment, Standing
from service.domain.draw import DrawCommand, DrawKind
from service.domain.facts import INDEX, NOTHING_KNOWN, Profile, merge
from service.domain.policy import Policy
from service.engine.control import Control
from service.engine.desks.limits import LimitDesk
from service.engine.desks.playbooks import ActivationChanged, ActivationOrder, PlaybookDesk
from service.engine.desks.policies import PolicyDesk
from service.engine.execute import execute
from service.engine.ports.store import Store
from service.settings import Settings
from service.storage.sqlite.store import SqliteStore

DAY_US = 86_400_000_000
NOW_US = 1_800_000_000_000_000
TODAY = NOW_US // DAY_US
NOW = Moment(NOW_US, TODAY)
PLAYBOOKS = registry.load()
REFERENCE, INSTALMENT = bootstrap.REFERENCE_POLICIES
"""The versions that a new store begins with."""

GOOD_FACTS = {
    "identity_level": 2, "bureau_score": 720, "monthly_income": 1_200_000, "employment_months": 36, "enquiries_30d": 1,
    "on_time_streak_months": 8, "payment_ratio_bp": 9_000, "dpd_now": 0, "dpd_max_12m": 0, "late_months_12m": 0,
    "transactions_30d": 12, "mean_transaction": 8_000, "profile_completeness_bp": 9_000, "misuse_flags": 0,
}  # fmt: skip


@cache
def document(version: str = REFERENCE) -> str:
    return resources.files("service.policies").joinpath(f"{version}.yaml").read_text(encoding="utf-8")


@cache
def policy(version: str = REFERENCE) -> Policy:
    return read_policy(document(version))[0]


@lru_cache(maxsize=64)
def read_policy(text: str, *, is_new: bool = False) -> tuple[Policy, str]:
    """Compile a document, once a test run."""
    return bootstrap.read_policy(text, is_new=is_new)


def news(**facts: int) -> tuple[tuple[int, int], ...]:
    return tuple((INDEX[name], value) for name, value in facts.items())


def profile(**facts: int) -> Profile:
    """Give a profile of good facts, some said otherwise, all observed now."""
    return merge(NOTHING_KNOWN, news(**{**GOOD_FACTS, **facts}), NOW_US)


def command(kind: Kind = Kind.ASSIGN, **said: object) -> DecideCommand:
    """Give a command; ASSIGN brings good facts unless `news` is said."""
    assigns = kind is Kind.ASSIGN
    defaults: dict[str, object] = {
        "caller": "tests", "request_id": "r-1", "fingerprint": b"f" * 16, "account_id": "a-1",
        "product": "revolving" if assigns else "", "kind": kind, "news": news(**GOOD_FACTS) if assigns else (),
        "news_currencies": (), "expected_version": 0, "trace_id": "",
    }  # fmt: skip
    return DecideCommand(**{**defaults, **said})  # type: ignore[arg-type]  # the defaults are of every type.


def draw(kind: DrawKind = DrawKind.AUTHORIZE, amount_minor: int = 10_000, **said: object) -> DrawCommand:
    """Give a draw command on account a-1; its seal stands for all that was said."""
    defaults: dict[str, object] = {
        "caller": "tests", "request_id": "d-1", "fingerprint": f"{kind}{amount_minor}{sorted(said)}".encode(),
        "account_id": "a-1", "kind": kind, "hold_number": 0, "amount_minor": amount_minor,
        "currency": "" if kind is DrawKind.VOID else "CNY", "is_final": False, "ttl_us": DAY_US, "trace_id": "",
    }  # fmt: skip
    return DrawCommand(**{**defaults, **said})  # type: ignore[arg-type]  # the defaults are of every type.


def account(limit_minor: int = 1_000_000, **said: object) -> Account:
    """Give an active account with good facts."""
    base = opened("a-1", "revolving", "CNY")._replace(
        status=Status.ACTIVE, limit_minor=limit_minor, version=1, profile=profile()
    )
    return base._replace(**said)  # type: ignore[arg-type]  # as the caller says.


def standing(limit_minor: int = 1_000_000, exposure_minor: int = 0, **facts: int) -> Standing:
    return Standing(limit_minor, exposure_minor, profile(**facts), Growth(0, 0, 0, NEVER, NEVER))


class StillClock:
    """A clock that stands where it is put."""

    def __init__(self, now_us: int = NOW_US) -> None:
        self.time_us = now_us

    def now_us(self) -> int:
        return self.time_us

    def business_day(self, now_us: int) -> int:
        return now_us // DAY_US

    def starts_us(self, business_day: int) -> int:
        return business_day * DAY_US


class Bench:
    """A store with the reference policies and everything that decides over it."""

    def __init__(self, store: Store, clock: StillClock | None = None, brake: str = "") -> None:
        self.store = store
        self.clock = clock or StillClock()
        store.now_us = self.clock.now_us
        self.control = Control(read_policy, PLAYBOOKS)
        self.desk = LimitDesk(store, self.control, self.clock)
        self.policies = PolicyDesk(store, self.control, read_policy)
        self.playbooks = PlaybookDesk(store, self.control)
        self.brake = bootstrap.make_brake(settings(brake=brake), PLAYBOOKS)
        bootstrap.seed_policies(self.policies)

    def execute(self, *commands: Command) -> list[object]:
        return list(execute(commands, self.store, self.control, self.clock, self.brake))

    def order(self, action: str, key: str, **said: object) -> ActivationChanged:
        """Change an activation; an activation lasts an hour unless said otherwise."""
        hour = {"ttl_seconds": 3_600} if action == "activate" else {}
        defaults: dict[str, object] = {"caller": "olga", "reason": "tests", **hour}
        seal = f"{action}{said}".encode()
        order = ActivationOrder(action, f"tests/{key}", seal, **{**defaults, **said})  # type: ignore[arg-type]  # of every type.
        return self.playbooks.change(order)


def sqlite(path: Path, **said: object) -> SqliteStore:
    """Open a store with the machine's clock."""
    return SqliteStore(path, bootstrap.now_us, **said)  # type: ignore[arg-type]  # as the caller says.


def settings(**said: object) -> Settings:
    return Settings(**said)  # type: ignore[arg-type]  # as the caller says.
