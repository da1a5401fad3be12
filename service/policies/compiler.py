"""From document to decision: read, check, compile.

Promises that a document either becomes a policy or answers with every violation at once. The content hash is over the
canonical document (JSON, sorted keys), so comments and layout don't count.
"""

import hashlib
import json
from collections.abc import Callable, Hashable
from typing import NamedTuple

import yaml
from pydantic import ValidationError

from service.domain.errors import InvalidRequest, Violation
from service.domain.facts import CHARACTERISTICS, INDEX
from service.domain.policy import (
    DAY_US,
    DEFAULT_TEXTS,
    NO_FACT,
    Absence,
    Band,
    BaseLimit,
    Cap,
    Caps,
    Characteristic,
    FactRule,
    Ground,
    Policy,
    Raises,
    Reduces,
    Rule,
    Step,
    TemporaryRules,
    Text,
    Trigger,
    avoidance,
    requirement,
)
from service.policies import checks, codegen
from service.policies.document import ABSENCE_REASONS, BandPart, CharacteristicPart, FactPart, PolicyDocument, RulePart

DOCUMENT_BYTES_MAX = 128 * 1024
"""Longest document, in bytes of UTF-8."""

NESTING_MAX = 20
"""Deepest nesting of a document; the shape needs 6."""

NODES_MAX = 20_000
"""Most keys, values, lists and maps of a document; the largest one of the right shape has fewer."""

SCALAR_LENGTH_MAX = 1_000
"""Longest key or value, in characters; the shape has none above 500. Reading a long number takes time by its square."""


class Compiled(NamedTuple):
    """A policy and the SHA-256 of its canonical document, in hexadecimal."""

    policy: Policy
    content_hash: str


def compile_text(text: str) -> Compiled:
    """Compile a new document from YAML or JSON; raises InvalidRequest with every violation."""
    return compile_document(parse(text))


def compile_stored(text: str) -> Compiled:
    """Compile a document that was published; it decides as it did then, whatever is asked of new ones since.

    Raises InvalidRequest with every violation of what has always been asked.
    """
    document = parse(text)
    _refuse(checks.lasting_violations(document))
    return _compiled(document)


def compile_document(document: PolicyDocument) -> Compiled:
    """Compile a new document whose shape is right; raises InvalidRequest with every violation across its parts."""
    _refuse(checks.violations(document))
    return _compiled(document)


def _refuse(mistakes: tuple[Violation, ...]) -> None:
    if mistakes:
        raise InvalidRequest(tuple(Violation(f"document.{mistake.field}", mistake.description) for mistake in mistakes))


def _compiled(document: PolicyDocument) -> Compiled:
    content = document.model_dump(mode="json", by_alias=True)
    if content["caps"]["portfolio_per_day_minor"] is None:
        # Documents from before there was a budget keep their hash.
        del content["caps"]["portfolio_per_day_minor"]
    for part in content["facts"].values():
        # Documents from before an absence had reasons of its own keep theirs, too.
        for field in [name for name in ABSENCE_REASONS if part[name] is None]:
            del part[field]
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return Compiled(_policy(document), hashlib.sha256(canonical.encode()).hexdigest())


def parse(text: str) -> PolicyDocument:
    """Read a document's shape; raises InvalidRequest with every violation of it."""
    if len(text.encode()) > DOCUMENT_BYTES_MAX:
        raise InvalidRequest((Violation("document", f"longer than {DOCUMENT_BYTES_MAX} bytes"),))
    try:
        return PolicyDocument.model_validate_json(json.dumps(_load(text)))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InvalidRequest(
            (Violation("document", f"not YAML{place}: {getattr(error, 'problem', error)}"),)
        ) from error
    except (RecursionError, TypeError, ValueError) as error:
        if not isinstance(error, ValidationError):
            raise InvalidRequest((Violation("document", f"not a policy document: {error}"),)) from error
        raise InvalidRequest(
            tuple(Violation(_path(entry["loc"]), entry["msg"]) for entry in error.errors(include_url=False))
        ) from error


class _UniqueKeys(yaml.CSafeLoader):
    """Safe loading that refuses repeated keys; in C, because the engine waits while a policy is read."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is one word", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is given twice", key.start_mark)
            seen.add(key.value)
        return dict(super().construct_mapping(node, deep=deep))


def _at(problem: str, event: yaml.Event) -> str:
    return f"{problem}, line {event.start_mark.line + 1}" if event.start_mark else problem


def _load(text: str) -> object:
    """Read a document into plain values; what is large beyond any policy is refused before it is built."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            # A few lines of aliases can unfold into gigabytes.
            raise yaml.composer.ComposerError(None, None, _at("aliases are not taken", event))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > NESTING_MAX:
            raise yaml.composer.ComposerError(None, None, _at(f"nested deeper than {NESTING_MAX}", event))
        nodes += isinstance(event, yaml.NodeEvent)
        if nodes > NODES_MAX:
            raise yaml.composer.ComposerError(None, None, f"more than {NODES_MAX} keys and values")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > SCALAR_LENGTH_MAX:
            problem = f"a key or value of more than {SCALAR_LENGTH_MAX} characters"
            raise yaml.composer.ComposerError(None, None, _at(problem, event))
    return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a safe loader with one check more.


def _path(location: tuple[int | str, ...]) -> str:
    return "document" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _policy(document: PolicyDocument) -> Policy:
    facts = _facts(document)
    absences = {fact_rule.fact: fact_rule.absence for fact_rule in facts}
    told = {fact: absence for fact, absence in absences.items() if document.facts[CHARACTERISTICS[fact].name].tells}
    scorecard = tuple(_characteristic(f"scorecard[{at}]", line, told) for at, line in enumerate(document.scorecard))
    knock_outs = [(_rule(f"knock_outs[{at}]", part), part.applies_to) for at, part in enumerate(document.knock_outs)]
    eligibility = [
        _rule(f"raise.eligibility[{at}]", part, requirement) for at, part in enumerate(document.raise_.eligibility)
    ]
    triggers = [
        Trigger(_rule(f"reduce.triggers[{at}]", part), part.cut_bp, part.notice_days)
        for at, part in enumerate(document.reduce.triggers)
    ]
    referrals = [_rule(f"refer.rules[{at}]", part) for at, part in enumerate(document.refer.rules)]
    return Policy(
        version=document.policy,
        product=document.product,
        currency=document.currency,
        facts=facts,
        scorecard=scorecard,
        usable=codegen.usable(facts),
        points=codegen.points(scorecard),
        knocked_out_of_first=codegen.sift([(rule, rule.ground) for rule, kinds in knock_outs if "assign" in kinds]),
        knocked_out_of_raise=codegen.sift([(rule, rule.ground) for rule, kinds in knock_outs if "raise" in kinds]),
        ineligible=codegen.unmet([(rule, absences.get(rule.fact, _as_ever(rule.ground))) for rule in eligibility]),
        fired=codegen.sift([(trigger.rule, trigger) for trigger in triggers]),
        referred=codegen.sift([(rule, rule.ground) for rule in referrals]),
        bands=tuple(_band(part) for part in document.bands),
        base_limit=_base_limit(document, told.get(INDEX["monthly_income"])),
        raises=_raises(document),
        reduces=_reduces(document),
        caps=_caps(document),
        unit_minor=document.rounding.unit_minor,
        notice_days=document.adverse_action.notice_days,
        texts=DEFAULT_TEXTS
        | {code: Text(part.zh, part.en, part.advice_zh, part.advice_en) for code, part in document.texts.items()},
        temporary=_temporary(document),
    )


def _facts(document: PolicyDocument) -> tuple[FactRule, ...]:
    return tuple(
        FactRule(
            INDEX[name],
            part.max_age_days * DAY_US,
            part.when_missing,
            part.when_stale,
            _absence(name, part),
        )
        for name, part in document.facts.items()
    )


def _absence(name: str, part: FactPart) -> Absence:
    missing = part.missing_reason or part.reason
    assert missing is not None, "a published fact has a reason of its absence"
    # A fact that is used however old it is needs no reason for that.
    stale = part.stale_reason or missing
    wanted = f"{name} known and at most {part.max_age_days} days old"
    path, fact = f"facts.{name}", INDEX[name]
    return Absence(Ground(path, missing, fact, wanted), Ground(path, stale, fact, wanted))


def _as_ever(ground: Ground) -> Absence:
    """Give the absence that speaks as a value would, for documents of before it had reasons of its own."""
    return Absence(ground, ground)


def _rule(path: str, part: RulePart, words: Callable[[int, int, int], str] = avoidance) -> Rule:
    fact = INDEX[part.fact]
    definition = CHARACTERISTICS[fact]
    lowest = definition.lowest if part.at_least is None else part.at_least
    highest = definition.highest if part.at_most is None else part.at_most
    return Rule(Ground(path, part.reason, fact, words(fact, lowest, highest)), fact, lowest, highest)


def _characteristic(path: str, line: CharacteristicPart, told: dict[int, Absence]) -> Characteristic:
    fact = INDEX[line.fact]
    points = tuple(part.points for part in line.bins)
    ground = Ground(path, line.reason, fact, f"{line.fact} in a bin with more points")
    bounds = tuple(part.below for part in line.bins if part.below is not None)
    absence = told.get(fact, _as_ever(ground))
    return Characteristic(ground, fact, bounds, points, line.missing_points, max(points), absence)


def _band(part: BandPart) -> Band:
    step = part.daily_step
    return Band(
        part.name,
        part.from_score,
        part.income_multiples_bp,
        Step(step.share_bp, step.minimum_minor, step.maximum_minor) if step else None,
    )


def _base_limit(document: PolicyDocument, absence: Absence | None) -> BaseLimit:
    base, income = document.base_limit, INDEX["monthly_income"]
    return BaseLimit(
        base.income_from_minor,
        base.minimum_minor,
        base.maximum_minor,
        Ground("base_limit.minimum_minor", "BELOW_LEAST_LIMIT", income, "income that carries the least first limit"),
        Ground("base_limit.maximum_minor", "GREATEST_FIRST_LIMIT", NO_FACT, "first limit within its maximum"),
        absence,
    )


def _raises(document: PolicyDocument) -> Raises:
    part = document.raise_
    return Raises(
        part.wait_after_raise_days,
        part.wait_after_cut_days,
        Ground(
            "raise.wait_after_raise_days",
            "WAIT_AFTER_RAISE",
            NO_FACT,
            f"{part.wait_after_raise_days} days after a raise",
        ),
        Ground("raise.wait_after_cut_days", "WAIT_AFTER_CUT", NO_FACT, f"{part.wait_after_cut_days} days after a cut"),
    )


def _reduces(document: PolicyDocument) -> Reduces:
    part = document.reduce
    return Reduces(
        part.floor_minor,
        part.most_per_day_bp,
        part.cool_down_days,
        part.may_cut_below_exposure,
        Ground("reduce.floor_minor", "FLOOR_REACHED", NO_FACT, "no cut below the floor or what is owed"),
        Ground("reduce.most_per_day_bp", "CUT_ENOUGH_TODAY", NO_FACT, "no more cut than the day's share"),
        Ground("reduce.cool_down_days", "CUT_LATELY", NO_FACT, f"{part.cool_down_days} days between cuts"),
    )


def _temporary(document: PolicyDocument) -> TemporaryRules | None:
    part = document.temporary
    if part is None:
        return None
    return TemporaryRules(
        part.maximum_minor,
        part.share_bp,
        part.days_max,
        part.notice_days,
        Ground("temporary.maximum_minor", "TEMPORARY_TOO_MUCH", NO_FACT, "within the greatest temporary raise"),
        Ground("temporary.days_max", "TEMPORARY_TOO_LONG", NO_FACT, f"at most {part.days_max} days"),
    )


def _caps(document: PolicyDocument) -> Caps:
    part = document.caps
    income = INDEX["monthly_income"]

    def cap(name: str, reason: str, bound: int, fact: int = NO_FACT) -> Cap:
        return Cap(bound, Ground(f"caps.{name}", reason, fact, f"growth within {name} {bound}"))

    automatic = document.refer.automatic_up_to_minor
    on_raises = (
        cap("per_decision_minor", "CAP_PER_DECISION", part.per_decision_minor),
        cap("per_decision_bp", "CAP_PER_DECISION", part.per_decision_bp),
        cap("per_day_minor", "CAP_PER_DAY", part.per_day_minor),
        cap("per_30_days_minor", "CAP_PER_30_DAYS", part.per_30_days_minor),
        cap("absolute_minor", "CAP_ABSOLUTE", part.absolute_minor),
        cap("debt_to_income_bp", "CAP_DEBT_TO_INCOME", part.debt_to_income_bp, income),
        Cap(
            automatic,
            Ground("refer.automatic_up_to_minor", "CAP_AUTOMATIC", NO_FACT, f"limits above {automatic} by a person"),
        ),
    )
    return Caps(part.portfolio_per_day_minor, *on_raises, tuple(cap.ground for cap in on_raises))
