"""Policy documents: each way to be wrong is a file; generated code means what the plain loops mean."""

import json
from bisect import bisect_right
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given

from service.domain.decision import Standing
from service.domain.errors import InvalidRequest
from service.domain.facts import UTILISATION
from service.domain.policy import Characteristic, Policy, Treatment
from service.policies import compiler
from service.policies.document import json_schema
from tests.builders import NOW_US, document, policy
from tests.proof.strategies import policies, standings

DOCUMENTS = sorted((Path(__file__).parents[1] / "documents").glob("*.yaml"))


def _step(node: Any, key: str) -> Any:
    return node[int(key)] if isinstance(node, list) else node[key]


def _changed(change: dict[str, Any]) -> str:
    tree = yaml.safe_load(document())
    for path, value in change.get("set", {}).items():
        *way, last = path.split(".")
        node = tree
        for key in way:
            node = _step(node, key)
        node[int(last) if isinstance(node, list) else last] = value
    for path in change.get("remove", []):
        *way, last = path.split(".")
        node = tree
        for key in way:
            node = _step(node, key)
        del node[last]
    return json.dumps(tree)


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda path: path.stem)
def test_a_document_meets_its_violations_each_with_its_path(file: Path) -> None:
    change = yaml.safe_load(file.read_text(encoding="utf-8"))
    found: list[str] = []

    try:
        compiler.compile_text(_changed(change))
    except InvalidRequest as error:
        found = [violation.field.removeprefix("document.") for violation in error.violations]

    assert sorted(found) == sorted(change["violations"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("policy: [", "not YAML"),
        ("a: &x [1]\nb: *x", "aliases are not taken"),
        ("policy: a\npolicy: b", "policy is given twice"),
        ("", "should be an object"),
        ("[1, 2]", "should be an object"),
        ("x" * (128 * 1024 + 1), "longer than"),
        ("[" * 5_000, "nest"),
        ("[" * 30 + "]" * 30, "nested deeper than 20"),
        ("2026-01-01: !!python/object/apply:os.system [ls]", "not YAML"),
    ],
)
def test_what_is_no_document_is_refused_with_a_sentence(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        compiler.compile_text(text)


def test_comments_and_layout_do_not_count_for_the_content_hash() -> None:
    text = document()
    as_json = json.dumps(yaml.safe_load(text))

    assert compiler.compile_text(text).content_hash == compiler.compile_text(as_json).content_hash
    assert compiler.compile_text(text).content_hash != compiler.compile_text(text.replace("720", "721")).content_hash


def test_the_reference_policy_is_what_a_risk_team_expects() -> None:
    reference, small = policy(), policy("instalment-2026-2")

    assert len(reference.scorecard) >= 10
    assert (reference.product, reference.currency) == ("revolving", "CNY")
    assert (small.product, small.currency) == ("instalment", "EUR")
    assert all(text.zh and text.en for text in reference.texts.values())


def test_the_schema_describes_the_document() -> None:
    schema = json.loads(json_schema())

    assert schema["additionalProperties"] is False
    assert set(schema["required"]) >= {"policy", "scorecard", "raise", "reduce", "texts"}


@given(policies(), standings())
def test_generated_points_and_usable_values_are_what_plain_loops_give(rules: Policy, standing: Standing) -> None:
    values, broken = rules.usable(standing.profile.values, standing.profile.observed_us, NOW_US)
    plain: list[int | None] = list(standing.profile.values)
    plain_broken = []
    for rule in rules.facts:
        value, observed = standing.profile.values[rule.fact], standing.profile.observed_us[rule.fact]
        if value is None:
            if rule.when_missing is not Treatment.SCORE:
                plain_broken.append(rule)
        elif NOW_US - observed > rule.max_age_us and rule.when_stale is not Treatment.USE:
            plain[rule.fact] = None
            if rule.when_stale is not Treatment.SCORE:
                plain_broken.append(rule)

    assert values == plain
    assert list(broken) == plain_broken
    assert len(values) == UTILISATION
    # Utilisation comes last, as a decision appends it.
    known = [*plain, 5_000]
    assert rules.points(known) == tuple(_points(line, known[line.fact]) for line in rules.scorecard)


def _points(line: Characteristic, value: int | None) -> int:
    return line.missing_points if value is None else line.points[bisect_right(line.bounds, value)]


HOSTILE = {
    "eight thousand keys": "\n".join(f"k{place}: 1" for place in range(8_000)),
    "a long list": "a: [" + "1," * 60_000 + "1]",
    "many documents": "---\na: 1\n" * 10_000,
    "deep lists": "[" * 60_000,
    "deep maps": "{" * 60_000,
    "keys in keys": "? " * 60_000,
    "a list as a key": "? [a, b]\n: 1",
    "a number to the base of 60": "policy: 1" + ":1" * 60_000,
    "a long number": "policy: 0x" + "f" * 120_000,
    "a long key": "k" * 1_001 + ": 1",
    "aliases": "a: &a [1]\nb: [*a, *a]",
    "merged maps": "<<: [" + ",".join("{a: 1}" for _ in range(6_000)) + "]",
    "half a character": 'policy: "\\ud800"',
    "a set": "a: !!set {b, c}",
    "too long": "# " + "x" * compiler.DOCUMENT_BYTES_MAX,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_document_made_to_be_costly_is_refused_like_any_other(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        compiler.compile_text(text)

    assert 1 <= len(refused.value.violations) <= compiler.NODES_MAX


def _full(tree: dict[str, Any]) -> dict[str, Any]:
    """Fill every list of the reference policy with as many parts as the shape allows, each rule with its own text."""
    texts = tree["texts"]

    def rules(part: str, **more: Any) -> list[dict[str, Any]]:
        found = []
        for place in range(64):
            code = f"{part}_{place}"
            texts[code] = {"zh": "z", "en": "e", "advice_zh": "a", "advice_en": "b"}
            found.append({"reason": code, "fact": "dpd_now", "at_least": 1, **more})
        return found

    tree["knock_outs"] += rules("KNOCK", applies_to=["assign", "raise"])[len(tree["knock_outs"]) :]
    tree["reduce"]["triggers"] += rules("CUT", cut_bp=1, notice_days=1)[len(tree["reduce"]["triggers"]) :]
    tree["refer"]["rules"] += rules("REFER")[len(tree["refer"]["rules"]) :]
    own = {rule["reason"] for rule in (*tree["knock_outs"], *tree["reduce"]["triggers"], *tree["refer"]["rules"])}
    for code in [code for code in texts if code.rpartition("_")[0] in ("KNOCK", "CUT", "REFER") and code not in own]:
        del texts[code]
    for line in tree["scorecard"]:
        *bounded, last = line["bins"]
        low, points = bounded[-1]["below"], bounded[-1]["points"]
        lines = [{"points": points, "below": low + place} for place in range(1, 32 - len(line["bins"]) + 1)]
        line["bins"] = [*bounded, *lines, last]
    return tree


def test_a_document_that_fills_its_lists_is_within_the_bounds_of_size() -> None:
    text = json.dumps(_full(yaml.safe_load(document())))
    nodes = sum(isinstance(event, yaml.NodeEvent) for event in yaml.parse(text, Loader=yaml.CSafeLoader))

    compiler.parse(text)

    assert len(text) > 50_000
    assert nodes < compiler.NODES_MAX // 2
