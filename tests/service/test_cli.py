"""The command line as a person and as a script use it."""

import json
from pathlib import Path

import pytest

from service import population
from service.local_server import Server
from tests.builders import document
from tests.service.command_line import invoked
from tests.service.wire import fresh

FACTS = [
    "--fact", "bureau_score=720", "--fact", "monthly_income=CNY:1200000", "--fact", "identity_level=2", "--fact",
    "on_time_streak_months=8", "--fact", "payment_ratio_bp=9000", "--fact", "dpd_now=0", "--fact", "dpd_max_12m=0",
    "--fact", "late_months_12m=0", "--fact", "enquiries_30d=1",
]  # fmt: skip


def test_help_names_every_command_and_the_exit_codes() -> None:
    run = invoked("--help")

    assert run.returncode == 0
    for name in (
        "serve",
        "demo",
        "decide",
        "evaluate",
        "explain",
        "decision",
        "decisions",
        "account",
        "verify",
        "replay",
        "import",
        "policy",
    ):
        assert f" {name} " in run.stdout
    assert "Exit codes" in run.stdout


@pytest.mark.parametrize(
    "name", ["serve", "decide", "evaluate", "explain", "decision", "decisions", "account", "verify", "replay", "demo"]
)
def test_every_command_has_help_that_starts_with_a_sentence(name: str) -> None:
    run = invoked(name, "--help")

    assert run.returncode == 0
    assert "." in run.stdout


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (("decision",), "say which decision"),
        (("decision", "f" * 16, "--request-id", "r"), "say which decision"),
        (("decisions", "a", "--kind", "rise"), "rise is no kind of decisions; choose from assign, raise"),
        (("decisions", "a", "--outcome", "won"), "won is no outcome of decisions; choose from approved"),
    ],
)
def test_which_decisions_to_show_is_said_in_words_that_are_known(said: tuple[str, ...], sentence: str) -> None:
    run = invoked(*said)

    assert run.returncode == 2
    assert sentence in " ".join(run.stderr.split())


def test_a_decision_is_made_listed_explained_and_shown(server: Server) -> None:
    account = fresh("cli")

    made = json.loads(
        invoked("decide", account, "assign", "--product", "revolving", *FACTS, "--json", server=server).stdout
    )
    decision_id = made["decision"]["decision_id"]
    shown = invoked("account", "show", account, server=server)
    listed = json.loads(invoked("decisions", account, "--json", server=server).stdout)
    kept = json.loads(invoked("decision", decision_id, "--json", server=server).stdout)
    raises = json.loads(invoked("decisions", account, "--kind", "raise", "--json", server=server).stdout)
    explained = invoked("explain", decision_id, server=server)
    evaluated = invoked("evaluate", account, "raise", server=server)

    assert made["decision"]["outcome"] == "OUTCOME_APPROVED"
    assert "CNY 36,000.00" in shown.stdout
    assert [decision["decision_id"] for decision in listed] == [decision_id]
    assert (kept, raises) == (made["decision"], [])
    assert "首次额度已批准" in explained.stdout
    assert "first limit has been approved" in explained.stdout
    assert "(not written)" in evaluated.stdout


def test_the_same_request_id_answers_from_the_record(server: Server) -> None:
    arguments = ("decide", fresh("cli"), "assign", "--product", "revolving", *FACTS, "--request-id", fresh("key"))

    invoked(*arguments, server=server)
    again = invoked(*arguments, server=server)

    assert "answered from the record" in again.stdout


def test_a_refusal_ends_with_3_and_names_the_fields(server: Server) -> None:
    run = invoked("decide", "!", "raise", "--fact", "dpd_now=-1", server=server)

    assert run.returncode == 3
    assert "account_id:" in run.stderr
    assert "facts.dpd_now:" in run.stderr


def test_nobody_there_ends_with_4() -> None:
    assert invoked("account", "show", "a").returncode == 4


def test_a_wrong_command_line_ends_with_2() -> None:
    assert invoked("decide", "a", "enlarge").returncode == 2
    assert invoked("serve", "--set", "no_such_setting=1").returncode == 2
    assert invoked("serve", "--listen", "0.0.0.0:0").returncode == 2


def test_verify_and_replay_run_beside_a_server(server: Server, folder: Path) -> None:
    store = f"sqlite:///{folder / 'holdline.db'}"
    invoked("decide", fresh("cli"), "assign", "--product", "revolving", *FACTS, server=server)

    verified = json.loads(invoked("verify", "--store", store, "--json").stdout)
    replayed = invoked("replay", "--store", store)

    assert verified["faults"] == []
    assert verified["decisions"] > 0
    assert replayed.returncode == 0
    assert " 0 differ" in replayed.stdout
    assert invoked("verify", "--store", "sqlite:////nowhere/at.all").returncode == 5


def test_a_policy_is_validated_published_promoted_listed_shown_and_rolled_back(server: Server, tmp_path: Path) -> None:
    name = fresh("cli-policy")
    file = tmp_path / "policy.yaml"
    file.write_text(document().replace("policy: reference-2026-2", f"policy: {name}"), encoding="utf-8")
    bad = tmp_path / "bad.yaml"
    bad.write_text(document().replace("unit_minor: 1000", "unit_minor: zero"), encoding="utf-8")

    validated = invoked("policy", "validate", str(file))
    refused = invoked("policy", "validate", str(bad))
    published = invoked("policy", "publish", str(file), "--json", server=server)
    promoted = json.loads(invoked("policy", "promote", name, "--reason", "test", "--json", server=server).stdout)
    listed = invoked("policy", "list", server=server)
    shown = invoked("policy", "show", name, server=server)
    elsewhere = invoked("policy", "rollback", "revolving", "--from", "other", "--reason", "r", "--yes", server=server)
    back = json.loads(
        invoked("policy", "rollback", "revolving", "--reason", "r", "--yes", "--json", server=server).stdout
    )

    assert validated.returncode == 0
    assert refused.returncode == 3
    assert "rounding.unit_minor" in refused.stdout
    assert json.loads(published.stdout)["policy"]["state"] == "POLICY_STATE_DRAFT"
    assert (promoted["change"]["from_version"], promoted["change"]["to_version"]) == ("reference-2026-2", name)
    assert name in listed.stdout
    assert elsewhere.returncode == 3
    assert "POLICY_STATE" in elsewhere.stderr
    assert shown.stdout.strip() == file.read_text(encoding="utf-8").strip()
    assert (back["policy"]["version"], back["change"]["from_version"]) == ("reference-2026-2", name)


CLIENTS = """ID,LIMIT_BAL,SEX,EDUCATION,MARRIAGE,AGE,PAY_0,PAY_2,PAY_3,PAY_4,PAY_5,PAY_6,BILL_AMT1,BILL_AMT2,BILL_AMT3,BILL_AMT4,BILL_AMT5,BILL_AMT6,PAY_AMT1,PAY_AMT2,PAY_AMT3,PAY_AMT4,PAY_AMT5,PAY_AMT6,default.payment.next.month,split
1,20000.0,2,2,1,24,2,2,-1,-1,-2,-2,3913.0,3102.0,689.0,0.0,0.0,0.0,0.0,689.0,0.0,0.0,0.0,0.0,1,develop
2,120000,2,2,2,26,-1,2,0,0,0,2,2682,1725,2682,3272,3455,3261,0,1000,1000,1000,0,2000,1,test
"""


def test_card_clients_are_imported_once_with_facts_and_the_rest_aside(server: Server, tmp_path: Path) -> None:
    file, aside = tmp_path / "clients.csv", tmp_path / "aside.csv"
    file.write_text(CLIENTS, encoding="utf-8")
    arguments = ("import", "credit-card-clients", str(file), "--aside", str(aside), "--json")

    first = json.loads(invoked(*arguments, server=server).stdout)
    again = json.loads(invoked(*arguments, server=server).stdout)
    account = json.loads(invoked("account", "show", "ccc-1", "--json", server=server).stdout)

    assert (first["imported"], again["imported"], again["imported_before"]) == (2, 0, 2)
    assert account["balances"]["limit"]["minor_units"] == "500000"
    assert account["balances"]["outstanding"]["minor_units"] == str(3913 * 25)
    assert (account["facts"]["dpd_now"], account["facts"]["late_months_12m"]) == (60, 2)
    assert "sex" not in json.dumps(account).lower()
    assert aside.read_text(encoding="utf-8").splitlines()[1] == "ccc-1,2,2,1,24,1,develop"


def test_facts_of_card_clients_are_derived_from_the_six_months(tmp_path: Path) -> None:
    file = tmp_path / "clients.csv"
    file.write_text(CLIENTS, encoding="utf-8")

    first, second = population.credit_card_clients(file)

    assert first.facts["on_time_streak_months"] == 0
    assert second.facts == {
        "dpd_now": 0, "dpd_max_12m": 60, "late_months_12m": 2, "on_time_streak_months": 1, "payment_ratio_bp": 2_084,
    }  # fmt: skip


def test_the_synthetic_population_is_seeded_and_within_the_facts_ranges() -> None:
    drawn = list(population.synthetic(500, 1))

    assert drawn == list(population.synthetic(500, 1))
    assert drawn != list(population.synthetic(500, 2))
    late = sum(customer.facts["late_months_12m"] > 0 for customer in drawn)
    assert 50 < late < 250
    assert all(0 <= customer.outstanding_minor <= customer.limit_minor for customer in drawn)
