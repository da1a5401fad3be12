"""Callers of a simulated engine: what they ask, what they were told, and when that breaks a promise.

Promises to raise `Broken` as soon as an answer contradicts another one, or what a caller may rely on.
"""

import random
from typing import NamedTuple

from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from holdline.v1 import decision_pb2, draw_pb2, draw_service_pb2, limit_service_pb2, playbook_service_pb2
from holdline.v1.money_pb2 import Money

from service.engine.ports.codec import Answer, Call
from service.rpc.methods import INDEX_OF

LIMITS = "/holdline.v1.LimitService/"
DRAWS = "/holdline.v1.DrawService/"
PLAYBOOKS = "/holdline.v1.PlaybookService/"
DECIDE = INDEX_OF[f"{LIMITS}Decide"]
AUTHORIZE = INDEX_OF[f"{DRAWS}AuthorizeDraw"]
CAPTURE = INDEX_OF[f"{DRAWS}CaptureDraw"]
REPAY = INDEX_OF[f"{DRAWS}RecordRepayment"]
ACTIVATE = INDEX_OF[f"{PLAYBOOKS}ActivatePlaybook"]
END_ACTIVATION = INDEX_OF[f"{PLAYBOOKS}EndActivation"]
RESPONSES: dict[int, type[Message]] = {
    DECIDE: limit_service_pb2.DecideResponse, AUTHORIZE: draw_service_pb2.AuthorizeDrawResponse,
    CAPTURE: draw_service_pb2.CaptureDrawResponse, REPAY: draw_service_pb2.RecordRepaymentResponse,
    ACTIVATE: playbook_service_pb2.ActivatePlaybookResponse, END_ACTIVATION: playbook_service_pb2.EndActivationResponse,
}  # fmt: skip
CAPTURES, REPAYMENTS = draw_service_pb2.CaptureDrawRequest, draw_service_pb2.RecordRepaymentRequest
ACCOUNTS = ("a-1", "a-2", "a-3")
FAR_US = 1 << 62


class Broken(Exception):
    """A promise does not hold."""


class Request(NamedTuple):
    """What a caller asks, again and again until it knows; `asked_at` in steps of the scheduler."""

    key: str
    call: Call
    asked_at: int
    is_reuse: bool = False
    """The key was used before, for another request: it must be refused, or be the only one."""


class FirstAnswer(NamedTuple):
    """What a key was answered with first."""

    method: int
    body: bytes
    response: Message
    """Without the word on whether it was a replay."""


class Books:
    """Everything that callers know, together."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._number = 0
        self.told: dict[str, FirstAnswer] = {}
        self.holds: list[tuple[str, str, int]] = []
        self.outstanding: dict[str, int] = dict.fromkeys(ACCOUNTS, 0)
        """By account: captured less repaid, of what was acknowledged, in minor units."""
        self.late: dict[str, frozenset[int]] = dict.fromkeys(ACCOUNTS, frozenset({0}))
        """By account: what refused captures and repayments may come to. A refusal leaves its key free, so a copy that
        the network delivers late may run after all, and its answer may be lost."""
        self._switches: set[str] = set()
        self.modes: list[tuple[int, str]] = [(-1, "normal")]
        """When each mode was acknowledged, in steps, oldest first."""
        self.activation = ""
        self.is_ending = False
        """Whether a playbook is being ended, so that the normal mode may be in force already."""

    def request(self, step: int) -> Request:
        """Draw what somebody asks next."""
        rng = self._rng
        self._number += 1
        key = f"k-{self._number}"
        method, message = rng.choices(
            (self._decision, self._authorisation, self._capture, self._repayment), (5, 4, 3, 1)
        )[0](key)
        body = message.SerializeToString()
        is_reuse = False
        if self.told and rng.random() < 0.04:
            key, other = rng.choice(list(self.told.items()))
            message.request_id = key  # type: ignore[attr-defined]  # every request has one.
            is_reuse = (other.method, other.body) != (method, message.SerializeToString())
            body = message.SerializeToString()
        return Request(key, Call(method, "sim", FAR_US, "", body), step, is_reuse)

    def _decision(self, key: str) -> tuple[int, Message]:
        kinds = (decision_pb2.DECISION_KIND_RAISE, decision_pb2.DECISION_KIND_REVIEW, decision_pb2.DECISION_KIND_REDUCE)
        return DECIDE, limit_service_pb2.DecideRequest(
            request_id=key, account_id=self._rng.choice(ACCOUNTS), kind=self._rng.choice(kinds)
        )

    def _authorisation(self, key: str) -> tuple[int, Message]:
        amount = Money(minor_units=self._rng.randrange(100_000, 600_000), currency_code="CNY")
        account_id = self._rng.choice(ACCOUNTS)
        return AUTHORIZE, draw_service_pb2.AuthorizeDrawRequest(
            request_id=key, account_id=account_id, amount=amount, ttl_seconds=2_592_000
        )

    def _capture(self, key: str) -> tuple[int, Message]:
        if not self.holds:
            return self._authorisation(key)
        account_id, hold_id, authorised = self._rng.choice(self.holds)
        amount = Money(minor_units=self._rng.randrange(1, authorised + 1), currency_code="CNY")
        return CAPTURE, draw_service_pb2.CaptureDrawRequest(
            request_id=key, account_id=account_id, hold_id=hold_id, amount=amount, is_final=self._rng.random() < 0.5
        )

    def _repayment(self, key: str) -> tuple[int, Message]:
        amount = Money(minor_units=self._rng.randrange(1, 200_000), currency_code="CNY")
        return REPAY, draw_service_pb2.RecordRepaymentRequest(
            request_id=key, account_id=self._rng.choice(ACCOUNTS), amount=amount
        )

    def switch(self, step: int) -> Request:
        """Put a playbook in force, or end the one that is."""
        self._number += 1
        key = f"s-{self._number}"
        if self.activation:
            self.is_ending = True
            message: Message = playbook_service_pb2.EndActivationRequest(
                request_id=key, activation_id=self.activation, reason="simulated"
            )
            return Request(key, Call(END_ACTIVATION, "olga", FAR_US, "", message.SerializeToString()), step)
        message = playbook_service_pb2.ActivatePlaybookRequest(
            request_id=key, name="freeze_raises", ttl_seconds=86_400, reason="simulated"
        )
        return Request(key, Call(ACTIVATE, "olga", FAR_US, "", message.SerializeToString()), step)

    def hear(self, asked: Request, answer: Answer, step: int) -> bool:
        """Take an answer in; claims that it is final. Raises Broken."""
        if answer.code:
            return self._refused(asked, answer)
        method = asked.call.method
        response = RESPONSES[method].FromString(answer.body)
        if method in (ACTIVATE, END_ACTIVATION):
            # A replay says what was in force after the switch, not what is now.
            if asked.key not in self._switches:
                self._switches.add(asked.key)
                self._switched(response, step)
            return True
        response.ClearField("replayed")
        before = self.told.get(asked.key)
        if before is not None and (before.method, before.body) != (method, asked.call.body):
            raise Broken(f"{asked.key} was answered for another request than the one that it stands for")
        if before is not None:
            if before.response != response:
                raise Broken(f"{asked.key} was answered with two different answers")
            return True
        self.told[asked.key] = FirstAnswer(method, asked.call.body, response)
        self._believe(asked, response)
        return True

    def _refused(self, asked: Request, answer: Answer) -> bool:
        reason = error_details_pb2.ErrorInfo()
        for detail in status_pb2.Status.FromString(answer.body).details:
            detail.Unpack(reason)
        if reason.reason == "INTERNAL":
            raise Broken(f"{asked.key} met a bug: {status_pb2.Status.FromString(answer.body).message}")
        if reason.reason == "STORE_UNAVAILABLE":
            return False
        if reason.reason == "IDEMPOTENCY_KEY_REUSED" and not asked.is_reuse:
            raise Broken(f"{asked.key} is said to stand for another request")
        before = self.told.get(asked.key)
        if before is not None and not asked.is_reuse:
            raise Broken(f"{asked.key} was acknowledged before and is refused now: {reason.reason}")
        self._may_come_late(asked)
        return True

    def _may_come_late(self, asked: Request) -> None:
        sign = {CAPTURE: 1, REPAY: -1}.get(asked.call.method, 0)
        if sign:
            request = (CAPTURES if sign > 0 else REPAYMENTS).FromString(asked.call.body)
            sums = self.late[request.account_id]
            self.late[request.account_id] = sums | {known + sign * request.amount.minor_units for known in sums}

    def _switched(self, response: Message, step: int) -> None:
        activation = response.activation  # type: ignore[attr-defined]  # both answers have them.
        mode_id = str(response.mode_id)  # type: ignore[attr-defined]  # as above.
        if self.modes[-1][1] != mode_id:
            self.modes.append((step, mode_id))
        self.activation = activation.activation_id if mode_id != "normal" else ""
        self.is_ending = False

    def _believe(self, asked: Request, response: Message) -> None:
        """Draw what follows from a first acknowledgement."""
        if isinstance(response, limit_service_pb2.DecideResponse):
            self._in_the_mode_of_its_time(asked, response.decision)
            return
        posting: draw_pb2.Posting = response.posting  # type: ignore[attr-defined]  # the others are draws.
        balances = posting.balances
        account_id = posting.account_id
        exposure = balances.held.minor_units + balances.outstanding.minor_units
        if asked.call.method == AUTHORIZE:
            if exposure > balances.limit.minor_units:
                raise Broken(f"{account_id} may owe {balances.limit.minor_units}, and {exposure} was authorised")
            hold = posting.hold
            self.holds.append((account_id, hold.hold_id, hold.authorised.minor_units))
        sign = {CAPTURE: 1, REPAY: -1}.get(asked.call.method, 0)
        self.outstanding[account_id] += sign * posting.amount.minor_units

    def _in_the_mode_of_its_time(self, asked: Request, decision: decision_pb2.Decision) -> None:
        """A decision that was asked after a switch was acknowledged must be made in the mode after it, or a later."""
        since = max(place for place, (step, _) in enumerate(self.modes) if step < asked.asked_at)
        allowed = {mode for _, mode in self.modes[since:]}
        if decision.mode_id not in allowed and not self._may_be_newer(decision.mode_id):
            raise Broken(f"{asked.key} was decided in {decision.mode_id} after {self.modes[since][1]} was acknowledged")

    def _may_be_newer(self, mode_id: str) -> bool:
        """A switch may be in force whose acknowledgement is still on its way: no mode that was seen before."""
        return (self.is_ending and mode_id == "normal") or mode_id not in {mode for _, mode in self.modes}
