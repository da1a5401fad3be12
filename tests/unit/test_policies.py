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
