"""`holdline account story`: one customer's whole history as a time line."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape as html_escape
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple

import typer

from service import printable, private_file
from service.cli import output
from service.cli.output import CALLER, SERVER, Caller, Json, Server

if TYPE_CHECKING:
    from holdline.client import Client
    from holdline.v1 import decision_pb2, draw_pb2, feedback_service_pb2, notification_service_pb2, run_service_pb2

LEFT_SHORT: Final = 4
"""The contract's kind of a discrepancy that opens no incident."""
ENTRIES_MAX: Final = 1_000
"""Most records of a kind that a story reads, newest first."""

Lang = Literal["zh", "en"]


class Entry(NamedTuple):
    """One thing that happened: when (RFC 3339, UTC), what, and the sentences for the customer."""

    at: str
    what: str
    text: str
    reasons: tuple[str, ...]
    by: str
    """Policy, mode and record, for whoever has to look it up."""


WORDS: Final = {
    "assign": ("首次额度", "first limit"), "raise": ("提额", "raise"), "reduce": ("降额", "cut"),
    "temporary_raise": ("临时提额", "temporary raise"), "until": ("至", "until"),
    "review": ("例行检视", "review"), "import": ("额度迁入", "taken over"),
    "approved": ("已调整", "changed"), "unchanged": ("保持不变", "left as it is"),
    "declined": ("未批准", "declined"), "referred": ("转人工审批", "passed to a person"),
    "authorize": ("预授权", "amount held"), "capture": ("入账", "captured"), "void": ("撤销预授权", "hold released"),
    "repay": ("还款", "repaid"),
    "promise": ("承诺提额", "promised raise"), "granted": ("已兑现", "granted"), "withheld": ("暂缓", "withheld"),
    "incident": ("事故", "incident"), "missing": ("应有的提额缺失", "a promised raise was missing"),
    "doubled": ("提额重复", "a raise was made twice"), "corrupt": ("记录有误", "a record was wrong"),
    "left_short": ("该日晚于其后日期处理，少于按序应得", "the date was run after a later one and gave less"),
    "made_good": ("已补发", "made good"), "not_made_good": ("尚未补发", "not made good"),
    "appeal": ("申诉", "appeal"), "submitted": ("已提交", "submitted"), "upheld": ("维持原决定", "upheld"),
    "overturned": ("已更改", "overturned"), "notice": ("通知", "notice"),
    "waiting": ("待发送", "not told yet"), "delivered": ("已送达", "told"), "dead": ("未能送达", "could not be told"),
    "limit": ("额度", "limit"), "available": ("可用", "available"), "for": ("业务日", "for"),
    "story": ("账户经过", "Story of account"), "when": ("时间 (UTC)", "when (UTC)"),
    "happened": ("事件", "what happened"),
    "record": ("依据", "record"), "earlier": ("更早的记录未列出", "Earlier records are not shown."),
}  # fmt: skip
"""What a story is told in: Chinese, English."""

NOTICES: Final = {
    "limit_assigned": "额度已核定", "limit_raised": "额度已提高", "limit_cut": "额度已下调",
    "temporary_granted": "临时额度已生效", "temporary_ends": "临时额度即将到期", "draw_declined": "交易未通过",
    "raise_waits": "提额排队中",
    "assign_declined": "首次额度未批准", "raise_declined": "提额未批准", "temporary_declined": "临时提额未批准",
    "assign_referred": "首次额度转人工", "raise_referred": "提额转人工", "temporary_referred": "临时提额转人工",
    "appeal_received": "申诉已收到", "appeal_upheld": "申诉维持原决定", "appeal_overturned": "申诉成功",
}  # fmt: skip
"""Kinds of notices in Chinese; in English their names are words."""


def word(key: str, lang: Lang) -> str:
    """Give a word in a language; what only a newer server says stays as it is."""
    return WORDS.get(key, (key, key))[0 if lang == "zh" else 1]


def story(
    account_id: Annotated[str, typer.Argument(help="The account's id.")],
    lang: Annotated[str, typer.Option(help="zh or en.")] = "en",
    html: Annotated[Path | None, typer.Option(help="Write the story into this file as a page of its own.")] = None,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Tell one customer's whole history, oldest first: promises, decisions, draws, incidents, notices, appeals."""
    if lang not in ("zh", "en"):
        raise output.wrong(f"{lang} is not told; choose zh or en")
    told: Lang = "zh" if lang == "zh" else "en"
    with output.connected(server, caller) as client:
        entries, is_cut_off = entries_of(client, account_id, told)
    if html is not None:
        private_file.write(html, page(account_id, entries, told, is_cut_off=is_cut_off))
    if as_json:
        output.print_json([entry._asdict() for entry in entries])
    elif html is None:
        rows = [(entry.at, f"{entry.what}: {entry.text}", "\n".join(entry.reasons), entry.by) for entry in entries]
        columns = (word("when", told), word("happened", told), "", word("record", told))
        output.table(f"{word('story', told)} {account_id}", columns, rows)
        if is_cut_off:
            output.echo(word("earlier", told))


def entries_of(client: Client, account_id: str, lang: Lang) -> tuple[list[Entry], bool]:
    """Read an account's history, oldest first, and whether there is more than is told; raises HoldlineError."""
    decisions = list(islice(client.decisions(account_id, page_size=ENTRIES_MAX), ENTRIES_MAX))
    postings = list(islice(client.postings(account_id, page_size=ENTRIES_MAX), ENTRIES_MAX))
    promises = list(islice(client.entitlements(account_id, page_size=ENTRIES_MAX), ENTRIES_MAX))
    cases = list(islice(client.cases(account_id=account_id, page_size=ENTRIES_MAX), ENTRIES_MAX))
    notices = list(islice(client.notices(account_id=account_id, page_size=ENTRIES_MAX), ENTRIES_MAX))
    incidents = client.discrepancies_of(account_id, ENTRIES_MAX)
    decided_at = {decision.decision_id: decision.decided_at.ToJsonString() for decision in decisions}
    entries = [
        *(_decision(decision, lang) for decision in decisions),
        *(_posting(posting, lang) for posting in postings),
        *(_promise(one, decided_at.get(one.decision_id, one.business_date), lang) for one in promises),
        *(entry for case in cases for entry in _case(case, lang)),
        *(_notice(one, lang) for one in notices),
        *(_incident(one, lang) for one in incidents),
    ]
    is_cut_off = any(len(found) == ENTRIES_MAX for found in (decisions, postings, promises, cases, notices, incidents))
    # Records of one transaction have one time; the promise comes before what became of it.
    return sorted(entries, key=lambda entry: entry.at), is_cut_off


def _decision(decision: decision_pb2.Decision, lang: Lang) -> Entry:
    # What the customer may owe is what a temporary raise moves.
    after = decision.balances.effective_limit if output.kind(decision) == "temporary_raise" else decision.new_limit
    old, new = output.amount(decision.old_limit), output.amount(after)
    moved = f"{old} → {new}" if old != new else new
    reasons = _reasons(decision.reasons, lang)
    playbooks = f", {output.playbooks_of(decision)}" if decision.activations else ""
    by = f"{decision.decision_id} {decision.policy_version}{playbooks}, {decision.caller}"
    what = f"{word(output.kind(decision), lang)}, {word(output.outcome(decision), lang)}"
    text = f"{word('limit', lang)} {moved}"
    if output.kind(decision) == "temporary_raise" and decision.HasField("temporary_raise"):
        text += f" {word('until', lang)} {decision.temporary_raise.until.ToJsonString()}"
    return Entry(decision.decided_at.ToJsonString(), what, text, reasons, by)


def _reasons(reasons: Iterable[decision_pb2.Reason], lang: Lang) -> tuple[str, ...]:
    from holdline.client import in_language

    return tuple(f"{in_language(one.texts, lang)} ({one.code})" for one in reasons)


def _posting(posting: draw_pb2.Posting, lang: Lang) -> Entry:
    what = word(output.posting_kind(posting), lang)
    if output.outcome(posting) != "approved":
        what += f", {word('declined', lang)}"
    available = f"{word('available', lang)} {output.amount(posting.balances.available)}"
    reasons = _reasons(posting.reasons, lang)
    by = f"{posting.posting_id} {posting.policy_version}, {posting.caller}"
    return Entry(posting.posted_at.ToJsonString(), what, f"{output.amount(posting.amount)}, {available}", reasons, by)


def _promise(promise: run_service_pb2.Entitlement, at: str, lang: Lang) -> Entry:
    is_granted = promise.granted.minor_units > 0
    what = f"{word('promise', lang)}, {word('granted' if is_granted else 'withheld', lang)}"
    granted, promised = output.amount(promise.granted), output.amount(promise.promised)
    text = f"{word('for', lang)} {promise.business_date}: {granted} / {promised}"
    return Entry(at, what, text, (promise.reason_code,), f"{promise.decision_id} {promise.policy_version}")


def _case(case: feedback_service_pb2.Case, lang: Lang) -> list[Entry]:
    name, by = word("appeal", lang), f"{case.case_id}, {case.submitted_by.caller}"
    submitted = f"{name}, {word('submitted', lang)}"
    entries = [
        Entry(
            case.submitted_at.ToJsonString(), submitted, case.appeal.statement, (), f"{case.appeal.decision_id}, {by}"
        )
    ]
    if case.HasField("resolved_at"):
        what = f"{name}, {word(output.case_state(case), lang)}"
        entries.append(Entry(case.resolved_at.ToJsonString(), what, case.result_decision_id, (), case.case_id))
    return entries


def _incident(found: run_service_pb2.Discrepancy, lang: Lang) -> Entry:
    kind = word(output.discrepancy_kind(found), lang)
    if found.kind == LEFT_SHORT:
        return Entry(f"{found.business_date}T23:59:59Z", kind, "", (), found.detail)
    what = f"{word('incident', lang)}, {kind}"
    state = word("made_good" if found.decision_id else "not_made_good", lang)
    # A day that does not add up is found after its end.
    return Entry(f"{found.business_date}T23:59:59Z", what, state, (), found.decision_id or found.detail)


def _notice(message: notification_service_pb2.Notice, lang: Lang) -> Entry:
    kind = NOTICES.get(message.kind, message.kind) if lang == "zh" else message.kind.replace("_", " ")
    what = f"{word('notice', lang)}, {kind}"
    told = word(output.message_state(message), lang)
    return Entry(message.due_at.ToJsonString(), what, told, (), f"{message.record_id}, n-{int(message.message_id, 16)}")


def escape(text: str) -> str:
    """Write a text into a page: no markup, and nothing that turns the direction of what stands beside it."""
    return html_escape(printable.lines(text))


def page(account_id: str, entries: list[Entry], lang: Lang, *, is_cut_off: bool) -> str:
    """Write a story as an HTML page that needs nothing else."""
    title = f"{word('story', lang)} {account_id}"
    items = "\n".join(
        f"<li><time>{escape(entry.at)}</time> <strong>{escape(entry.what)}</strong> {escape(entry.text)}"
        + "".join(f"<p>{escape(reason)}</p>" for reason in entry.reasons)
        + f"<small>{escape(entry.by)}</small></li>"
        for entry in entries
    )
    more = f"<p>{escape(word('earlier', lang))}</p>" if is_cut_off else ""
    return PAGE.format(lang=lang, title=escape(title), items=items, more=more)


PAGE: Final = """<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b; }}
ol {{ list-style: none; margin: 0; padding: 0 0 0 1.2rem; border-left: 2px solid #bbb; }}
li {{ margin: 0 0 1.2rem; break-inside: avoid; }}
time, small {{ color: #555; display: block; overflow-wrap: anywhere; }}
p {{ margin: .2rem 0; }}
</style>
</head>
<body>
<h1>{title}</h1>
{more}
<ol>
{items}
</ol>
</body>
</html>
"""
