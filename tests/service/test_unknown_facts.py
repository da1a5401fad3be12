"""What is not known is called so wherever a customer reads of it: answer, explanation, notice, story, appeal."""

import json
from pathlib import Path

import pytest
from holdline.client import Client, in_language, money

from service.bootstrap import make_control
from service.domain.decision import Decided, Kind
from service.domain.explain import explain, summaries
from service.domain.mode import NORMAL
from service.domain.watch import Message, MessageState
from service.local_server import Server, running_server
from service.sentry.notices import Notices
from service.storage.memory.store import MemoryStore
from tests.builders import DAY_US, GOOD_FACTS, NOW_US, Bench, StillClock, command, document, news
from tests.proof.journal import wait_until
from tests.service.command_line import invoked
from tests.service.wire import fresh

ACCUSES = ("There were many credit enquiries", "征信查询次数较多", "Apply for less new credit", "MANY_ENQUIRIES")
SAYS = {"en": "We do not know how many credit enquiries there were", "zh": "我们不知道您近 30 天内的征信查询次数"}
KNOWN = {"bureau_score": 720, "monthly_income": money(1_200_000, "CNY"), "identity_level": 2, "payment_ratio_bp": 9_000}


def _told(text: str, *languages: str) -> None:
    assert not [words for words in ACCUSES if words in text]
    for language in languages:
        assert SAYS[language] in text


def test_a_raise_refused_for_want_of_enquiries_says_so_in_answer_explanation_notice_story_and_appeal(
    tmp_path: Path,
) -> None:
    notices = tmp_path / "notices.jsonl"
    with running_server(tmp_path, "--set", f"notice_to=file:{notices}") as server, Client(server.listen) as client:
        name = fresh("tour")
        client.decide(name, "assign", product="revolving", facts=KNOWN)
        refused = client.decide(name, "raise", facts={"on_time_streak_months": 2}).decision
        explained = client.explain(refused.decision_id)
        shown = invoked("explain", refused.decision_id, server=server).stdout
        case = client.appeal(name, refused.decision_id, "Nobody asked of me.").case
        appealed = invoked("appeal", "show", case.case_id, "--json", server=server).stdout
        wait_until(lambda: notices.exists() and len(notices.read_text().splitlines()) == 3, 20, "notices were written")
        english, chinese = (
            invoked("account", "story", name, "--lang", lang, "--json", server=server).stdout for lang in ("en", "zh")
        )
        listed = invoked("decisions", name, "--json", server=server).stdout

    assert [reason.code for reason in refused.reasons] == [
        "PAYMENTS_UNKNOWN", "ON_TIME_STREAK_SHORT", "ENQUIRIES_UNKNOWN",
    ]  # fmt: skip
    _told(str([one.text for reason in refused.reasons for one in reason.texts]), "en", "zh")
    _told(in_language(explained.summaries, "en"), "en")
    _told(in_language(explained.summaries, "zh"), "zh")
    (enquiries,) = [one for one in explained.findings if one.fact == "enquiries_30d"]
    assert (enquiries.reason_code, enquiries.HasField("value")) == ("ENQUIRIES_UNKNOWN", False)
    _told(" ".join(shown.split()))
    declined, received = [json.loads(line) for line in notices.read_text(encoding="utf-8").splitlines()][1:]
    assert (declined["kind"], received["kind"]) == ("raise_declined", "appeal_received")
    for notice in (declined, received):
        _told(json.dumps(notice, ensure_ascii=False), "en", "zh")
    _told(str(json.loads(english)), "en")
    _told(str(json.loads(chinese)), "zh")
    _told(str(json.loads(appealed)), "en", "zh")
    _told(listed)


def test_what_was_known_too_long_ago_is_called_old_in_record_explanation_and_notice() -> None:
    bench = Bench(MemoryStore((clock := StillClock()).now_us), clock)
    bench.execute(command(Kind.ASSIGN))
    clock.time_us += 31 * DAY_US
    fresh_facts = {name: value for name, value in GOOD_FACTS.items() if name != "enquiries_30d"}

    (answer,) = bench.execute(command(Kind.RAISE, request_id="r-2", news=news(**fresh_facts)))

    assert isinstance(answer, Decided)
    decision = answer.decision
    policy = bench.desk.policy(decision.policy_version)
    assert decision.reasons == ("ENQUIRIES_OLD",)
    explanation = explain(decision, policy, NORMAL)
    assert [(one.reason, one.value) for one in explanation.findings] == [("ENQUIRIES_OLD", None)]
    zh, en = summaries(decision, policy, "CNY", explanation)
    message = Message(
        1, "notice", "info", "raise_declined", NOW_US, NOW_US, 0, MessageState.WAITING, "a-1", decision.number
    )
    notice = Notices(bench.store, make_control()).written(message).body  # type: ignore[arg-type]  # it has postings, too.
    for text in (zh + en, notice):
        assert "已超过 30 天" in text
        assert "is more than 30 days old" in text
        assert not [words for words in ACCUSES if words in text]


@pytest.mark.parametrize("version", ["reference-2026-1", "instalment-2026-1"])
def test_publishing_a_version_that_tells_of_values_where_none_are_known_names_each_place(
    server: Server, version: str
) -> None:
    with Client(server.listen) as client:
        found = {one.path for one in client.validate_policy(document(version)).violations}

    assert {"facts.late_months_12m.reason", "facts.monthly_income.reason"} <= found
