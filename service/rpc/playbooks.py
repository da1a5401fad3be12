"""PlaybookService, as far as the engine answers it: activations and the mode.

Promises the four moves of an adapter: check, build, call, assemble. Previews and signals are the sentry's.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from holdline.v1 import playbook_service_pb2 as pb

from service.domain.book import key_of
from service.domain.errors import InvalidRequest, Violation
from service.engine.clock import ClockDesk, ClockOrder
from service.engine.desks.playbooks import ActivationChanged, ActivationOrder, PlaybookDesk
from service.engine.ports.codec import Call
from service.rpc import commands, fields, pages, texts
from service.rpc import playbook_messages as messages
from service.rpc.methods import INTERNAL, PLAYBOOKS
from service.rpc.mode_glance import glance_answer
from service.rpc.pages import timestamp

LIST_ACTIVATIONS: Final = f"{PLAYBOOKS}ListActivations"

INCIDENT_LENGTH_MAX: Final = 64
AHEAD_US_MAX: Final = 100 * 366 * 86_400_000_000
"""A century: a machine without a battery begins in 1970."""
CHANGES_MAX: Final = 1_000
"""Most changes in one message of a watch; more follow in the next."""
is_resume_token: Final = re.compile(rf"[0-9]{{1,18}}(:({fields.MODE_ID}))?").fullmatch


class PlaybookCalls:
    """The calls of PlaybookService, in bytes."""

    def __init__(self, desk: PlaybookDesk, clock: ClockDesk) -> None:
        self._desk = desk
        self._clock = clock
        self.queries: dict[str, Callable[[Call], bytes]] = {
            f"{PLAYBOOKS}ListPlaybooks": self._list,
            f"{PLAYBOOKS}DescribePlaybook": self._describe,
            f"{PLAYBOOKS}ActivatePlaybook": self._activate,
            f"{PLAYBOOKS}ApproveActivation": self._approve,
            f"{PLAYBOOKS}ExtendActivation": self._extend,
            f"{PLAYBOOKS}EndActivation": self._end,
            LIST_ACTIVATIONS: self._list_activations,
            f"{PLAYBOOKS}GetMode": self._get_mode,
            f"{PLAYBOOKS}ConfirmClock": self._confirm_clock,
            f"{PLAYBOOKS}WatchMode": self._watch_mode,
            f"{INTERNAL}Glance": self._glance,
        }

    def _list(self, _: Call) -> bytes:
        response = pb.ListPlaybooksResponse(playbooks=[messages.playbook(one) for one in self._desk.playbooks()])
        return response.SerializeToString()

    def _describe(self, call: Call) -> bytes:
        request = pb.DescribePlaybookRequest.FromString(call.body)
        version = messages.version_of(request)
        fields.refuse(messages.name_violations(request.name, version))
        found = self._desk.playbook(request.name, version or 0)
        response = pb.DescribePlaybookResponse(
            playbook=messages.playbook(found),
            sections=[pb.PlaybookSection(heading=heading, text=text) for heading, text in found.headings.items()],
        )
        return response.SerializeToString()

    def _activate(self, call: Call) -> bytes:
        request = pb.ActivatePlaybookRequest.FromString(call.body)
        parameters, wrong_parameters = messages.parameters_of(request.parameters)
        scope, wrong_scope = messages.scope_of(request.scope)
        version = messages.version_of(request)
        violations = [
            *fields.request_id_violations(request.request_id),
            *messages.name_violations(request.name, version),
            *fields.reason_violations(request.reason),
            *texts.violations(request),
            *wrong_parameters,
            *wrong_scope,
        ]
        if len(request.incident) > INCIDENT_LENGTH_MAX:
            violations.append(Violation("incident", f"send at most {INCIDENT_LENGTH_MAX} characters"))
        fields.refuse(violations)
        # The whole request is its fingerprint, less the key itself; 0 stands for the newest version.
        seal = commands.fingerprint(
            "activate", request.name, version or 0, sorted(parameters.items()), scope, request.ttl_seconds,
            request.reason, request.incident, request.break_glass, request.force,
        )  # fmt: skip
        order = ActivationOrder(
            "activate", key_of(call.caller, request.request_id), seal, call.caller, request.reason, 0, request.name,
            version or 0, parameters, scope, request.ttl_seconds, request.incident, request.break_glass, request.force,
            is_automatic=call.caller.startswith(GUARD_PREFIX),
        )  # fmt: skip
        try:
            changed = self._desk.change(order)
        except InvalidRequest as error:
            raise InvalidRequest(tuple(messages.placed(error.violations, request.parameters))) from error
        return self._changed(pb.ActivatePlaybookResponse(), changed)

    def _approve(self, call: Call) -> bytes:
        request = pb.ApproveActivationRequest.FromString(call.body)
        wrong = fields.reason_violations(request.note, "note", needed=False)
        order = self._order("approve", request, request.note, wrong, call)
        return self._changed(pb.ApproveActivationResponse(), self._desk.change(order))

    def _extend(self, call: Call) -> bytes:
        request = pb.ExtendActivationRequest.FromString(call.body)
        wrong = fields.reason_violations(request.reason)
        order = self._order("extend", request, request.reason, wrong, call, request.ttl_seconds)
        return self._changed(pb.ExtendActivationResponse(), self._desk.change(order))

    def _end(self, call: Call) -> bytes:
        request = pb.EndActivationRequest.FromString(call.body)
        wrong = fields.reason_violations(request.reason)
        order = self._order("end", request, request.reason, wrong, call)
        return self._changed(pb.EndActivationResponse(), self._desk.change(order))

    @staticmethod
    def _order(
        action: str,
        request: pb.ApproveActivationRequest | pb.ExtendActivationRequest | pb.EndActivationRequest,
        reason: str,
        wrong: Sequence[Violation],
        call: Call,
        ttl_seconds: int = 0,
    ) -> ActivationOrder:
        number, violations = messages.activation_number(request.activation_id)
        fields.refuse([*fields.request_id_violations(request.request_id), *violations, *wrong])
        seal = commands.fingerprint(action, number, reason, ttl_seconds)
        key = key_of(call.caller, request.request_id)
        return ActivationOrder(action, key, seal, call.caller, reason, number, ttl_seconds=ttl_seconds)

    def _changed(
        self,
        response: pb.ActivatePlaybookResponse
        | pb.ApproveActivationResponse
        | pb.ExtendActivationResponse
        | pb.EndActivationResponse,
        changed: ActivationChanged,
    ) -> bytes:
        response.activation.CopyFrom(messages.activation(changed.activation, changed.now_us))
        response.mode_id = changed.mode.mode_id
        response.replayed = changed.replayed
        return response.SerializeToString()

    def _list_activations(self, call: Call) -> bytes:
        request = pb.ListActivationsRequest.FromString(call.body)
        states, violations = messages.states_of(request.states)
        filters = sorted(int(state) for state in states)
        asked = pages.page_of(LIST_ACTIVATIONS, filters, request.page_size, request.page_token, violations)
        found, now_us = self._desk.activations(asked.before, asked.size + 1, states)
        shown = pages.fitting((messages.activation(one, now_us) for one in found[: asked.size]), pb.Activation.ByteSize)
        is_last = len(shown) == len(found)
        last = "" if is_last else f"{found[len(shown) - 1].number:016x}"
        response = pb.ListActivationsResponse(
            activations=shown, next_page_token=pages.token(LIST_ACTIVATIONS, filters, last) if last else ""
        )
        return response.SerializeToString()

    def _get_mode(self, _: Call) -> bytes:
        view = self._desk.mode()
        response = pb.GetModeResponse(
            mode=messages.mode(view),
            engines=[
                pb.EngineBuild(
                    engine_id=one.engine_id,
                    build=one.build,
                    policy_compiler=one.policy_compiler,
                    playbooks=one.playbooks,
                    seen_at=timestamp(one.seen_us),
                )
                for one in view.engines
            ],
            builds_differ=len({one[1:4] for one in view.engines}) > 1,
            resume_token=f"{view.last_change}:{view.mode.mode_id}",
            clock=messages.clock(self._clock.time()),
        )
        return response.SerializeToString()

    def _confirm_clock(self, call: Call) -> bytes:
        request = pb.ConfirmClockRequest.FromString(call.body)
        violations = [
            *fields.request_id_violations(request.request_id),
            *fields.reason_violations(request.reason),
        ]
        if not 0 < abs(request.ahead_micros) <= AHEAD_US_MAX:
            violations.append(Violation("ahead_micros", f"send what GetMode gives, at most {AHEAD_US_MAX} either way"))
        fields.refuse(violations)
        seal = commands.fingerprint("confirm clock", request.ahead_micros, request.reason)
        key = key_of(call.caller, request.request_id)
        time, replayed = self._clock.confirm(ClockOrder(key, seal, call.caller, request.reason, request.ahead_micros))
        return pb.ConfirmClockResponse(clock=messages.clock(time), replayed=replayed).SerializeToString()

    def _glance(self, call: Call) -> bytes:
        view = self._desk.mode()
        return glance_answer(call.body, f"{view.last_change}:{view.mode.mode_id}", view.mode)

    def _watch_mode(self, call: Call) -> bytes:
        """Answer one look of a watch: the mode and what changed since the token; empty where nothing did.

        The token holds the last change seen and the mode seen, so that a lapse, which changes no row, shows, too.
        """
        request = pb.WatchModeRequest.FromString(call.body)
        token = request.resume_token
        view = self._desk.mode()
        since, _, mode_id = token.partition(":")
        # One of a change that is not there yet would miss it when it is made.
        if token and not (is_resume_token(token) and int(since) <= view.last_change):
            fields.refuse([Violation("resume_token", "send resume_token of the last message, unchanged")])
        found = self._desk.changes(int(since), CHANGES_MAX) if token else []
        if token and not found and mode_id == view.mode.mode_id:
            return b""
        shown = pages.fitting(messages.changes(found), pb.ActivationChange.ByteSize)
        last = found[len(shown) - 1].sequence if shown else view.last_change
        response = pb.WatchModeResponse(
            mode=messages.mode(view), changes=shown, resume_token=f"{last}:{view.mode.mode_id}"
        )
        return response.SerializeToString()


GUARD_PREFIX: Final = "holdline:"
"""Callers with this prefix are the service's own guards; the gateway lets nobody else bear it."""
