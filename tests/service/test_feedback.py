"""What customers say over the wire: feedback, surveys, appeals and their resolution, races and bad input, the report."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from holdline.client import Client, errors
from holdline.v1 import decision_pb2
from holdline.v1 import feedback_service_pb2 as pb
from holdline.v1.money_pb2 import Money

from service.local_server import Server, running_server
from tests.proof.journal import ONCE, wait_until
from tests.service.command_line import invoked
from tests.service.oncall import As
from tests.service.wire import assign, fresh

ROOM = 300_000


def _yuan(minor_units: int) -> Money:
    return Money(minor_units=minor_units, currency_code="CNY")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server on which one reviewer alone may raise a limit by 3,000 yuan."""
    with running_server(tmp_path_factory.mktemp("desk"), "--set", f"appeal_alone=CNY={ROOM}") as server:
        yield server


def _client(desk: Server, caller: str) -> Client:
    return Client(desk.listen, caller=caller, retry=ONCE)


@pytest.fixture
def client(desk: Server) -> Iterator[Client]:
    with _client(desk, "care") as found:
        yield found


def _declined(client: Client) -> tuple[str, decision_pb2.Decision]:
    """Give an account and its decision that refuses a raise, because a payment is late."""
    account_id = client.send(assign()).account.account_id
    return account_id, client.decide(account_id, "raise", facts={"dpd_now": 4}).decision


def _cut(client: Client) -> tuple[str, decision_pb2.Decision]:
    account_id = client.send(assign()).account.account_id
    return account_id, client.decide(account_id, "reduce", facts={"dpd_now": 61}).decision


def test_corrected_facts_settle_an_appeal_within_what_one_person_may_grant(client: Client) -> None:
    account_id, refused = _declined(client)
    case = client.appeal(account_id, refused.decision_id, "I paid on time.", facts={"dpd_now": 0}).case
    made = next(client.decisions(account_id))

    (note,) = client.case_notes(case.case_id)
    assert (case.kind, case.state, case.resolution) == (
        pb.CASE_KIND_APPEAL, pb.CASE_STATE_RESOLVED, pb.RESOLUTION_OVERTURNED,
    )  # fmt: skip
    assert (note.actor.caller, note.action) == ("holdline:corrected-facts", pb.CASE_ACTION_SETTLED)
    assert (note.limit, note.note) == (made.new_limit, "")
    assert made.decision_id == case.result_decision_id
    assert made.kind == decision_pb2.DECISION_KIND_APPEAL
    assert (made.caller, made.request_id) == ("holdline:appeals", f"appeal/{case.case_id}")
    assert made.new_limit == case.appeal.suggested_limit
    assert made.new_limit.minor_units > made.old_limit.minor_units
    assert [reason.code for reason in made.reasons] == ["APPEAL_OVERTURNED"]
    assert client.account(account_id).facts.dpd_now == 0
    kinds = [one.kind for one in client.notices(account_id=account_id)]
    assert kinds[:3] == ["appeal_overturned", "appeal_received", "raise_declined"]


def test_above_the_threshold_two_people_must_say_the_same(client: Client, desk: Server) -> None:
    account_id, cut = _cut(client)
    old = cut.old_limit
    assert old.minor_units - cut.new_limit.minor_units > ROOM
    opened = client.appeal(account_id, cut.decision_id, "It was a mistake.", facts={"dpd_now": 0}).case
    with _client(desk, "rita") as rita, _client(desk, "rob") as rob:
        shown = rita.case(opened.case_id).case
        first = rita.resolve(opened.case_id, "the bank erred", new_limit=old).case
        with pytest.raises(errors.Refused) as own:
            rita.resolve(opened.case_id, "again", new_limit=old)
        other = rob.resolve(opened.case_id, "less will do", new_limit=_yuan(old.minor_units - 1_000)).case
        second = rita.resolve(opened.case_id, "agreed", new_limit=_yuan(old.minor_units - 1_000), request_id="yes").case
        again = rita.resolve(opened.case_id, "agreed", new_limit=_yuan(old.minor_units - 1_000), request_id="yes")
        with pytest.raises(errors.Refused) as over:
            rob.resolve(opened.case_id, "late")
        notes = list(rob.case_notes(opened.case_id, page_size=2))

    less = _yuan(old.minor_units - 1_000)
    assert [(one.actor.caller, one.action, one.limit, one.note) for one in notes] == [
        ("rita", pb.CASE_ACTION_PROPOSED, old, "the bank erred"),
        ("rob", pb.CASE_ACTION_PROPOSED, less, "less will do"),
        ("rita", pb.CASE_ACTION_OVERTURNED, less, "agreed"),
    ]
    assert (opened.state, opened.appeal.suggested_limit) == (pb.CASE_STATE_OPEN, old)
    assert shown == opened
    assert first.state == pb.CASE_STATE_AWAITING_SECOND
    assert own.value.reason == "APPROVAL_REFUSED"
    assert (other.state, other.resolution) == (pb.CASE_STATE_AWAITING_SECOND, pb.RESOLUTION_UNSPECIFIED)
    assert (second.state, second.resolution) == (pb.CASE_STATE_RESOLVED, pb.RESOLUTION_OVERTURNED)
    assert (again.replayed, again.case) == (True, second)
    assert over.value.reason == "CASE_OVER"
    assert client.account(account_id).balances.limit.minor_units == old.minor_units - 1_000


def test_a_case_shows_its_decision_facts_and_why_and_can_be_upheld(client: Client, desk: Server) -> None:
    account_id, refused = _declined(client)
    opened = client.appeal(account_id, refused.decision_id, "Please look again.")
    found = client.case(opened.case.case_id)
    with _client(desk, "rita") as rita:
        upheld = rita.resolve(opened.case.case_id, "the payment was late").case

    assert found.decision == refused
    assert found.facts.dpd_now == 4
    assert "PAST_DUE_NOW" in {reason.code for reason in found.decision.reasons}
    assert {one.language_code for one in found.summaries if one.text} == {"zh", "en"}
    assert found.case.due_at.seconds - found.case.submitted_at.seconds == 120 * 3_600
    assert not found.case.is_overdue
    assert not found.case.appeal.HasField("suggested_limit")
    assert (upheld.state, upheld.resolution) == (pb.CASE_STATE_RESOLVED, pb.RESOLUTION_UPHELD)
    assert "the payment was late" not in str(client.case(opened.case.case_id))
    assert client.account(account_id).balances.limit == refused.old_limit
    assert next(client.notices(account_id=account_id)).kind == "appeal_upheld"
    assert [one.case_id for one in client.cases(account_id=account_id)] == [upheld.case_id]


def test_anothers_decision_a_second_appeal_and_nothing_to_appeal_are_refused(client: Client) -> None:
    account_id, refused = _declined(client)
    stranger, granted = _declined(client)[0], client.send(assign()).decision
    with pytest.raises(errors.NotFound) as anothers:
        client.appeal(stranger, refused.decision_id, "Mine?")
    first = client.appeal(account_id, refused.decision_id, "Mine.", request_id="once")
    retried = client.appeal(account_id, refused.decision_id, "Mine.", request_id="once")
    with pytest.raises(errors.KeyReused):
        client.appeal(account_id, refused.decision_id, "Other words.", request_id="once")
    with pytest.raises(errors.AlreadyExists) as second:
        client.appeal(account_id, refused.decision_id, "Again.")
    with pytest.raises(errors.Refused) as content:
        client.appeal(granted.account_id, granted.decision_id, "Too much!")

    assert anothers.value.reason == "DECISION_NOT_FOUND"
    assert (retried.replayed, retried.case) == (True, first.case)
    assert (second.value.reason, second.value.metadata["case_id"]) == ("APPEAL_EXISTS", first.case.case_id)
    assert content.value.reason == "NOTHING_TO_APPEAL"
    assert len(list(client.cases(account_id=stranger))) == 0


def test_of_many_appeals_at_once_one_opens_the_case(client: Client, desk: Server) -> None:
    account_id, refused = _declined(client)

    def appeal(number: int) -> str:
        with _client(desk, f"care-{number}") as own:
            try:
                return own.appeal(account_id, refused.decision_id, "At once.").case.case_id
            except errors.AlreadyExists as error:
                return error.reason

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(appeal, range(8)))

    assert outcomes.count("APPEAL_EXISTS") == 7
    assert len(list(client.cases(account_id=account_id))) == 1


def test_bad_input_names_its_fields(client: Client) -> None:
    account_id, refused = _declined(client)
    case_id = client.appeal(account_id, refused.decision_id, "Please.").case.case_id
    limit = client.account(account_id).balances.limit.minor_units
    other_id, other = _declined(client)
    foreign = {"monthly_income": Money(minor_units=1, currency_code="EUR")}
    cases: list[tuple[Callable[[], object], list[str]]] = [
        (lambda: client.feedback(account_id, "unspecified"), ["category"]),
        (lambda: client.feedback(account_id, "unfair", "x" * 2_001, decision_id="what"), ["decision_id", "text"]),
        (lambda: client.survey(account_id, 6), ["score"]),
        (lambda: client.appeal(account_id, "", ""), ["decision_id", "statement"]),
        (lambda: client.appeal("no such/account", "0" * 16, "x", facts={"dpd_now": -1}), ["account_id", "corrected_facts.dpd_now"]),
        (lambda: client.appeal(other_id, other.decision_id, "x", facts=foreign), ["corrected_facts.monthly_income.currency_code"]),
        (lambda: client.resolve("17", ""), ["case_id", "note"]),
        (lambda: client.resolve(case_id, "less", new_limit=_yuan(limit)), ["new_limit.minor_units"]),
        (lambda: client.resolve(case_id, "euros", new_limit=Money(minor_units=limit + 1, currency_code="EUR")), ["new_limit.currency_code"]),
        (lambda: client.feedback_report(400), ["days"]),
    ]  # fmt: skip
    for call, fields in cases:
        with pytest.raises(errors.InvalidRequest) as refusal:
            call()
        assert [violation.field for violation in refusal.value.violations] == fields
    with pytest.raises(errors.NotFound):
        client.feedback("nobody", "praise")
    with pytest.raises(errors.NotFound):
        client.case("C999999")
    assert client.case(case_id).case.state == pb.CASE_STATE_OPEN


def test_the_report_counts_complaints_by_reason_and_policy(client: Client) -> None:
    account_id, refused = _declined(client)

    def counted() -> tuple[int, int]:
        lines = {(one.reason_code, one.policy_version): one for one in client.feedback_report(7, "revolving").lines}
        line = lines.get((refused.reasons[0].code, refused.policy_version), pb.FeedbackLine())
        return line.complaints, line.appeals

    before = counted()
    client.feedback(account_id, "unfair", "Why me?", decision_id=refused.decision_id)
    client.feedback(account_id, "praise", decision_id=refused.decision_id)
    client.survey(account_id, 2, decision_id=refused.decision_id)
    client.survey(account_id, 5)
    client.appeal(account_id, refused.decision_id, "Please look again.")
    wait_until(lambda: counted() == (before[0] + 3, before[1] + 1), 10, "the report sees it")
    report = client.feedback_report(7)

    surveys = {one.score: one.count for one in report.surveys}
    assert list(surveys) == [1, 2, 3, 4, 5]
    assert surveys[2] >= 1
    assert surveys[5] >= 1
    assert report.complaints < report.voices


def test_a_playbook_that_holds_raises_holds_an_appeal_until_it_is_over(tmp_path: Path) -> None:
    with running_server(tmp_path, "--set", f"appeal_alone=CNY={10**9}") as server, _client(server, "rita") as client:
        account_id, cut = _cut(client)
        held = client.activate("freeze_raises", ttl_seconds=600, reason="a test", incident="INC-1").activation
        opened = client.appeal(account_id, cut.decision_id, "A mistake.", facts={"dpd_now": 0}).case
        with pytest.raises(errors.Refused) as refusal:
            client.resolve(opened.case_id, "now", new_limit=cut.old_limit)
        client.end_activation(held.activation_id, reason="over")
        done = client.resolve(opened.case_id, "now", new_limit=cut.old_limit, request_id="now").case
        verified = invoked("verify", "--store", f"sqlite:///{tmp_path / 'holdline.db'}")
        replayed = invoked("replay", "--store", f"sqlite:///{tmp_path / 'holdline.db'}")

    assert opened.state == pb.CASE_STATE_OPEN
    assert refusal.value.reason == "APPEAL_HELD"
    assert done.resolution == pb.RESOLUTION_OVERTURNED
    assert (verified.returncode, replayed.returncode) == (0, 0), verified.stdout + replayed.stdout


def test_resolving_needs_the_role(as_: As) -> None:
    caller = as_("anna")
    account_id = caller.send(assign()).account.account_id
    refused = caller.decide(account_id, "raise", facts={"dpd_now": 4}).decision
    case = caller.appeal(account_id, refused.decision_id, "Please.").case

    with pytest.raises(errors.PermissionDenied):
        caller.resolve(case.case_id, "mine")
    assert as_("root").resolve(case.case_id, "not so").case.resolution == pb.RESOLUTION_UPHELD
    with pytest.raises(errors.PermissionDenied):
        list(caller.case_notes(case.case_id))
    assert [one.note for one in as_("root").case_notes(case.case_id)] == ["not so"]
    read = str(caller.case(case.case_id))
    assert "not so" not in read
    assert "root" not in read


def test_cases_are_narrowed_by_every_filter_and_none_is_ignored(client: Client, desk: Server) -> None:
    account_id, refused = _declined(client)
    opened = client.appeal(account_id, refused.decision_id, "Please.").case
    states: tuple[list[str], ...] = ([], ["open"], ["resolved"], ["open", "awaiting_second"])
    before = [[case.case_id for case in client.cases(one, account_id=account_id)] for one in states]
    with _client(desk, "rita") as rita:
        rita.resolve(opened.case_id, "no")
    after = [[case.case_id for case in client.cases(one, account_id=account_id)] for one in states]
    with pytest.raises(errors.InvalidRequest) as overdue:
        list(client.cases(["resolved"], only_overdue=True))
    first = client._feedback.ListCases(pb.ListCasesRequest(page_size=1))
    narrower = pb.ListCasesRequest(page_token=first.next_page_token, only_overdue=True)
    with pytest.raises(errors.InvalidRequest) as other:
        client._call(client._feedback.ListCases, narrower, "")

    own = [opened.case_id]
    assert before == [own, own, [], own]
    assert after == [own, [], own, []]
    assert list(client.cases(account_id=account_id, only_overdue=True)) == []
    assert [violation.field for violation in overdue.value.violations] == ["only_overdue"]
    assert [violation.field for violation in other.value.violations] == ["page_token"]


def test_the_command_line_takes_an_appeal_from_its_words_to_its_end(client: Client, desk: Server) -> None:
    account_id, refused = _declined(client)
    sent = invoked(
        "feedback", "send", account_id, "unfair", "--text", "Why?", "--decision", refused.decision_id, server=desk
    )
    scored = invoked("feedback", "survey", account_id, "2", server=desk)
    opened = invoked(
        "appeal", "submit", account_id, refused.decision_id, "Please.", "--request-id", fresh("cli"), server=desk
    )
    (case,) = client.cases(account_id=account_id)
    shown = invoked("appeal", "show", case.case_id, server=desk)
    resolved = invoked("appeal", "resolve", case.case_id, "--note", "it was late", server=desk)
    listed = invoked("appeal", "list", "--state", "resolved", server=desk)
    noted = invoked("appeal", "notes", case.case_id, server=desk)
    report = invoked("feedback", "report", server=desk)
    told = invoked("account", "story", account_id, server=desk)

    for run in (sent, scored, opened, shown, resolved, listed, noted, report, told):
        assert run.returncode == 0, run.stderr
    assert case.case_id in opened.stdout
    assert "Please." in shown.stdout
    assert "upheld" in resolved.stdout
    assert case.case_id in listed.stdout
    assert "it was late" in noted.stdout
    assert "PAST_DUE_NOW" in report.stdout
    for word in ("appeal, submitted", "appeal, upheld", "notice, appeal upheld"):
        assert word in told.stdout


def test_a_read_only_mode_takes_no_feedback_and_no_word_on_a_case(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, _client(server, "rita") as client:
        account_id, refused = _declined(client)
        case = client.appeal(account_id, refused.decision_id, "Please.").case
        asked = client.activate("read_only", ttl_seconds=600, reason="a test", incident="INC-1").activation
        for approver in ("ada", "abe"):
            with _client(server, approver) as own:
                own.approve(asked.activation_id)
        for write in (lambda: client.survey(account_id, 3), lambda: client.resolve(case.case_id, "no")):
            with pytest.raises(errors.Refused) as refusal:
                write()
            assert refusal.value.reason == "MODE_READ_ONLY"

        assert client.case(case.case_id).case.state == pb.CASE_STATE_OPEN
