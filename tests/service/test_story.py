"""`holdline account story`: everything that happened to one customer, in order, in both languages, as a page."""

import json
from pathlib import Path

import pytest
from holdline.client import Client, is_declined, money
from holdline.v1 import decision_pb2
from typer.testing import CliRunner

from service.cli.main import app
from service.cli.story import WORDS
from service.local_server import Server
from tests.service.wire import Stubs, assign, fresh


@pytest.fixture
def account_id(stubs: Stubs, server: Server) -> str:
    """Give an account with a first limit, a raise, a hold, a declined draw, a repayment and a refused raise."""
    made = stubs.limits.Decide(assign(account_id=fresh("<story>").replace("<", "").replace(">", "")), timeout=5)
    name = made.account.account_id
    with Client(server.listen, caller="till") as client:
        client.decide(name, "raise")
        held = client.authorize(name, money(20_000, "CNY"))
        client.capture(name, held.hold.hold_id, money(20_000, "CNY"))
        assert is_declined(client.authorize(name, money(10**12, "CNY")))
        client.repay(name, money(5_000, "CNY"))
        client.decide(name, "raise", facts={"dpd_now": 3})
    return name


def test_every_kind_and_outcome_of_a_decision_has_its_words() -> None:
    kinds = [name.removeprefix("DECISION_KIND_").lower() for name in decision_pb2.DecisionKind.keys()[1:]]
    outcomes = [name.removeprefix("OUTCOME_").lower() for name in decision_pb2.Outcome.keys()[1:]]

    assert set(kinds + outcomes) <= set(WORDS)


def _told(server: Server, *arguments: str) -> str:
    run = CliRunner().invoke(app, ["account", "story", *arguments, "--server", server.listen])
    assert run.exit_code == 0, run.output
    return run.output


def test_a_story_tells_everything_in_its_order(server: Server, account_id: str) -> None:
    entries = json.loads(_told(server, account_id, "--json"))

    notices = [entry["what"] for entry in entries if entry["what"].startswith("notice")]
    assert [entry["what"] for entry in entries if not entry["what"].startswith(("promised", "notice"))] == [
        "first limit, changed", "raise, changed", "amount held", "captured", "amount held, declined", "repaid",
        "raise, declined",
    ]  # fmt: skip
    (promise,) = (entry for entry in entries if entry["what"].startswith("promised"))
    assert promise["what"] == "promised raise, granted"
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    assert notices == [
        "notice, limit assigned", "notice, limit raised", "notice, draw declined", "notice, raise declined",
    ]  # fmt: skip
    (declined,) = (entry for entry in entries if entry["what"] == "amount held, declined")
    assert "(LIMIT_USED)" in declined["reasons"][0]
    assert all(entry["text"] and entry["by"] for entry in entries)


def test_a_story_is_told_in_chinese_and_as_a_page_that_needs_nothing_else(
    server: Server, account_id: str, tmp_path: Path
) -> None:
    target = tmp_path / "story.html"
    _told(server, account_id, "--lang", "zh", "--html", str(target))
    text = target.read_text(encoding="utf-8")

    assert '<html lang="zh">' in text
    assert text.count("<li>") == 12
    for key in ("raise", "authorize", "declined", "promise", "story", "notice"):
        assert WORDS[key][0] in text
    assert "http" not in text
    assert "<script" not in text


def test_an_unknown_account_and_language_are_refused(server: Server) -> None:
    unknown = CliRunner().invoke(app, ["account", "story", "nobody", "--server", server.listen])
    language = CliRunner().invoke(app, ["account", "story", "a", "--lang", "fr"])

    assert unknown.exit_code == 3
    assert language.exit_code == 2
