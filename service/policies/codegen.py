"""Generated code for what every decision asks of a policy: usable facts, rules that fire, points.

Promises the meaning of the plain loops (a test holds it to them over random policies) at a third of their cost. The
source is made of validated integers only; nothing of a document's text gets into it.
"""

from collections.abc import Sequence
from types import FunctionType
from typing import Any, Final, TypeVar

from service.domain.facts import CHARACTERISTICS
from service.domain.policy import Absence, Characteristic, FactRule, Points, Rule, Sift, Treatment, Unmet, Usable

Found = TypeVar("Found")


_FILE: Final = "<policy "


def is_generated(function: FunctionType) -> bool:
    """Claim that a function was made here."""
    return function.__code__.co_filename.startswith(_FILE)


def _made(name: str, lines: Sequence[str], constants: dict[str, object]) -> Any:
    source = "\n".join(lines)
    scope: dict[str, Any] = dict(constants)
    exec(compile(source, f"{_FILE}{name}>", "exec"), scope)  # noqa: S102 - made of validated integers above.
    return scope[name]


def usable(fact_rules: Sequence[FactRule]) -> Usable:
    """Make the function that blanks stale facts and names the fact rules that are broken."""
    youngest = min((rule.max_age_us for rule in fact_rules), default=0)
    lines = [
        "def usable(values, observed, now):",
        "    found = [*values]",
        "    broken = ()",
    ]
    constants: dict[str, object] = {}
    missing = [f"    if now - min(observed) <= {youngest}:"]
    stale: list[str] = []
    for rule in fact_rules:
        fact, name = rule.fact, f"rule_{rule.fact}"
        constants[name] = rule
        if rule.when_missing is not Treatment.SCORE:
            missing.append(f"        if values[{fact}] is None: broken += ({name},)")
            stale.append(f"    if values[{fact}] is None: broken += ({name},)")
        if rule.when_stale is not Treatment.USE:
            old = f"values[{fact}] is not None and now - observed[{fact}] > {rule.max_age_us}"
            also = "" if rule.when_stale is Treatment.SCORE else f"; broken += ({name},)"
            stale.append(f"    if {old}: found[{fact}] = None{also}")
    # Nothing is stale where the oldest fact is younger than the shortest age allowed.
    lines += [*missing, "        return found, broken", *stale, "    return found, broken"]
    made: Usable = _made("usable", lines, constants)
    return made


def _condition(rule: Rule) -> str:
    definition = CHARACTERISTICS[rule.fact]
    parts = [f"values[{rule.fact}] is not None"]
    if rule.lowest > definition.lowest:
        parts.append(f"values[{rule.fact}] >= {rule.lowest}")
    if rule.highest < definition.highest:
        parts.append(f"values[{rule.fact}] <= {rule.highest}")
    return " and ".join(parts)


def unmet(rules: Sequence[tuple[Rule, Absence]]) -> Unmet:
    """Make the function that gives the grounds of the rules that do not hold, in their order.

    Of a rule whose fact is not known the absence is given: nothing is known then that would speak against it.
    """
    lines = ["def unmet(values, stored):", "    found = ()"]
    constants: dict[str, object] = {}
    for position, (rule, absence) in enumerate(rules):
        known, missing, stale = f"known_{position}", f"missing_{position}", f"stale_{position}"
        constants |= {known: rule.ground, missing: absence.missing, stale: absence.stale}
        lines.append(f"    if values[{rule.fact}] is None:")
        lines.append(f"        found += ({missing} if stored[{rule.fact}] is None else {stale},)")
        lines.append(f"    elif not ({_condition(rule)}): found += ({known},)")
    made: Unmet = _made("unmet", [*lines, "    return found"], constants)
    return made


def sift(rules: Sequence[tuple[Rule, Found]]) -> Sift[Found]:
    """Make the function that gives what stands for the rules that hold, in their order."""
    lines = ["def sift(values):", "    found = ()"]
    constants: dict[str, object] = {}
    for position, (rule, stands_for) in enumerate(rules):
        constants[f"found_{position}"] = stands_for
        lines.append(f"    if {_condition(rule)}: found += (found_{position},)")
    made: Sift[Found] = _made("sift", [*lines, "    return found"], constants)
    return made


def points(scorecard: Sequence[Characteristic]) -> Points:
    """Make the function that gives the points of each characteristic, in the scorecard's order."""
    lines = ["def points(values):"]
    names = []
    for position, line in enumerate(scorecard):
        name = f"p{position}"
        names.append(name)
        bins = "".join(f"{given} if v < {bound} else " for given, bound in zip(line.points, line.bounds, strict=False))
        lines += [
            f"    v = values[{line.fact}]",
            f"    {name} = {line.missing_points} if v is None else {bins}{line.points[-1]}",
        ]
    made: Points = _made("points", [*lines, f"    return ({', '.join(names)},)"], {})
    return made
