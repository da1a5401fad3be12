"""What must hold across the parts of a policy document.

Promises every mistake at once, each with its path. These checks are what lets the laws of lending hold for every
policy: directed facts score and test one way only, the limit matrix and the steps never reward a worse band, every
reason code has its texts, no prohibited basis is used.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from service.domain.errors import Violation
from service.domain.facts import CHARACTERISTICS, INDEX, PROHIBITED, Better
from service.domain.policy import BUILT_IN_REASONS, DEFAULT_TEXTS, Treatment
from service.policies.document import ABSENCE_REASONS, BandPart, CharacteristicPart, PolicyDocument, RulePart

INCOME: Final = "monthly_income"
"""The fact that the limit matrix and the debt-to-income cap rest on, whatever else a document declares."""
PASSING: Final = frozenset(
    (
        "dpd_now", "dpd_max_12m", "late_months_12m", "enquiries_30d", "transactions_30d", "on_time_streak_months",
        "payment_ratio_bp", "mean_transaction",
    )
)  # fmt: skip
"""Facts about now or the time just past: what was true of them long ago is not true of them today."""
OWN_REASONS: Final = "a missing_reason and a stale_reason"


def violations(document: PolicyDocument) -> tuple[Violation, ...]:
    """Give every mistake of a new document whose shape is right."""
    return (*lasting_violations(document), *_absences(document))


def lasting_violations(document: PolicyDocument) -> tuple[Violation, ...]:
    """Give the mistakes that no stored version has: what has been asked since the first one was published.

    Whatever is asked later belongs into `violations` alone, so that stored versions compile and decide as published.
    """
    return (
        *_facts(document),
        *_rules(document),
        *_scorecard(document),
        *_bands(document.bands),
        *_matrix(document),
        *_bounds(document),
        *_texts(document),
    )


def _facts(document: PolicyDocument) -> Iterator[Violation]:
    for name, part in document.facts.items():
        path = f"facts.{name}"
        if name in PROHIBITED:
            yield Violation(path, f"{name} is a prohibited basis; no policy may use it")
        elif name not in INDEX or name == "utilisation_bp":
            yield Violation(
                path, f"no such fact; choose from {', '.join(known.name for known in CHARACTERISTICS[:-1])}"
            )
        if part.when_missing is Treatment.USE:
            yield Violation(f"{path}.when_missing", "a missing fact can't be used; choose score, refer or decline")
        if name == "age_years" and not part.lawful_use:
            yield Violation(f"{path}.lawful_use", "age is a prohibited basis unless the document states its lawful use")
        if name != "age_years" and part.lawful_use:
            yield Violation(f"{path}.lawful_use", "only age needs a lawful use; remove it")
        if part.reason is None and part.missing_reason is None:
            yield Violation(f"{path}.missing_reason", "say what the customer is told where the fact is not known")


def _named_rules(document: PolicyDocument) -> Iterator[tuple[str, RulePart, bool]]:
    """Give every rule with its path and whether it counts against the customer while it holds."""
    for position, knock_out in enumerate(document.knock_outs):
        yield f"knock_outs[{position}]", knock_out, True
    for position, rule in enumerate(document.raise_.eligibility):
        yield f"raise.eligibility[{position}]", rule, False
    for position, trigger in enumerate(document.reduce.triggers):
        yield f"reduce.triggers[{position}]", trigger, True
    for position, rule in enumerate(document.refer.rules):
        yield f"refer.rules[{position}]", rule, True


def _rules(document: PolicyDocument) -> Iterator[Violation]:
    for path, rule, is_adverse in _named_rules(document):
        unknown = _undeclared(document, rule.fact)
        if unknown:
            yield Violation(f"{path}.fact", unknown)
            continue
        definition = CHARACTERISTICS[INDEX[rule.fact]]
        if rule.at_least is None and rule.at_most is None:
            yield Violation(path, "give at_least or at_most")
        if rule.at_least is not None and rule.at_most is not None and rule.at_least > rule.at_most:
            yield Violation(path, f"at_least {rule.at_least} is above at_most {rule.at_most}; no value can hold")
        for bound in ("at_least", "at_most"):
            value = getattr(rule, bound)
            if value is not None and not definition.lowest <= value <= definition.highest:
                yield Violation(
                    f"{path}.{bound}",
                    f"{value} is out of range; {rule.fact} runs from {definition.lowest} to {definition.highest}",
                )
        good_is_up = definition.better is Better.HIGHER
        if definition.better is not Better.NEITHER:
            wrong = "at_least" if good_is_up is is_adverse else "at_most"
            if getattr(rule, wrong) is not None:
                yield Violation(
                    f"{path}.{wrong}",
                    f"{definition.better.value} {rule.fact} speaks for the customer; this bound would punish it",
                )


def _undeclared(document: PolicyDocument, fact: str) -> str:
    if fact in PROHIBITED:
        return f"{fact} is a prohibited basis; no policy may use it"
    if fact == "utilisation_bp":
        return ""
    if fact not in INDEX:
        return f"no fact is called {fact}"
    return "" if fact in document.facts else f"{fact} is not declared; add it under facts"


def _scorecard(document: PolicyDocument) -> Iterator[Violation]:
    seen: dict[str, int] = {}
    for position, line in enumerate(document.scorecard):
        path = f"scorecard[{position}]"
        unknown = _undeclared(document, line.fact)
        if unknown:
            yield Violation(f"{path}.fact", unknown)
            continue
        if line.fact in seen:
            yield Violation(f"{path}.fact", f"{line.fact} is scored already at scorecard[{seen[line.fact]}]")
        seen[line.fact] = position
        yield from _bins(path, line)


def _bins(path: str, line: CharacteristicPart) -> Iterator[Violation]:
    definition = CHARACTERISTICS[INDEX[line.fact]]
    bounds = [part.below for part in line.bins]
    for position, bound in enumerate(bounds[:-1]):
        if bound is None:
            yield Violation(f"{path}.bins[{position}].below", "only the last bin goes without a bound")
        elif not definition.lowest < bound <= definition.highest:
            yield Violation(
                f"{path}.bins[{position}].below",
                f"{bound} parts nothing; {line.fact} runs from {definition.lowest} to {definition.highest}",
            )
    if bounds[-1] is not None:
        yield Violation(f"{path}.bins[{len(bounds) - 1}].below", "the last bin takes the rest; remove its bound")
    known = [bound for bound in bounds[:-1] if bound is not None]
    if any(low >= high for low, high in pairwise(known)):
        yield Violation(f"{path}.bins", "bounds must rise from bin to bin")
    points = [part.points for part in line.bins]
    if definition.better is Better.HIGHER and any(low > high for low, high in pairwise(points)):
        yield Violation(f"{path}.bins", f"higher {line.fact} is better; points must not fall")
    if definition.better is Better.LOWER and any(low < high for low, high in pairwise(points)):
        yield Violation(f"{path}.bins", f"lower {line.fact} is better; points must not rise")
    if line.missing_points > max(points):
        yield Violation(f"{path}.missing_points", "a missing fact can't score above every known one")


def _bands(bands: Sequence[BandPart]) -> Iterator[Violation]:
    for position, (upper, lower) in enumerate(pairwise(bands)):
        path = f"bands[{position + 1}]"
        if lower.from_score >= upper.from_score:
            yield Violation(f"{path}.from_score", "bands go from the best score down")
        for column, (best, worse) in enumerate(zip(upper.income_multiples_bp, lower.income_multiples_bp, strict=False)):
            if worse > best:
                yield Violation(f"{path}.income_multiples_bp[{column}]", "a worse band can't earn a higher multiple")
        yield from _steps(path, upper, lower)
    names = [band.name for band in bands]
    for position, name in enumerate(names):
        if name in names[:position]:
            yield Violation(f"bands[{position}].name", f"{name} is taken already")
    for position, band in enumerate(bands):
        if band.daily_step and band.daily_step.minimum_minor > band.daily_step.maximum_minor:
            yield Violation(f"bands[{position}].daily_step", "minimum_minor is above maximum_minor")


def _steps(path: str, upper: BandPart, lower: BandPart) -> Iterator[Violation]:
    if lower.daily_step is None:
        return
    if upper.daily_step is None:
        yield Violation(f"{path}.daily_step", "a worse band can't have a raise where a better one has none")
        return
    for field in ("share_bp", "minimum_minor", "maximum_minor"):
        if getattr(lower.daily_step, field) > getattr(upper.daily_step, field):
            yield Violation(f"{path}.daily_step.{field}", "a worse band can't have a larger step")


def _matrix(document: PolicyDocument) -> Iterator[Violation]:
    columns = document.base_limit.income_from_minor
    if columns[0] != 0:
        yield Violation("base_limit.income_from_minor[0]", "the first column starts at 0")
    if any(low >= high for low, high in pairwise(columns)):
        yield Violation("base_limit.income_from_minor", "columns must rise")
    for position, band in enumerate(document.bands):
        path = f"bands[{position}].income_multiples_bp"
        if len(band.income_multiples_bp) != len(columns):
            yield Violation(path, f"one multiple for each of the {len(columns)} income columns")
        if any(low > high for low, high in pairwise(band.income_multiples_bp)):
            yield Violation(path, "more income can't earn a lower multiple")


def _bounds(document: PolicyDocument) -> Iterator[Violation]:
    least = sum(min(line.missing_points, *(part.points for part in line.bins)) for line in document.scorecard)
    greatest = sum(max(part.points for part in line.bins) for line in document.scorecard)
    last = document.bands[-1]
    if last.from_score > least:
        yield Violation(
            f"bands[{len(document.bands) - 1}].from_score", f"scores start at {least}; the last band must take them"
        )
    reached = next((band for band in document.bands if greatest >= band.from_score), last)
    if not all(reached.income_multiples_bp) or reached.daily_step is None:
        yield Violation("bands", f"the best score, {greatest}, must earn a first limit and a raise")
    base = document.base_limit
    if base.minimum_minor > base.maximum_minor:
        yield Violation("base_limit.minimum_minor", "it is above maximum_minor")
    if base.minimum_minor < document.rounding.unit_minor:
        yield Violation("base_limit.minimum_minor", "it is below rounding.unit_minor, so limits of 0 could be assigned")
    if base.maximum_minor > document.caps.absolute_minor:
        yield Violation("base_limit.maximum_minor", "it is above caps.absolute_minor")


def _absence_reasons(document: PolicyDocument) -> Iterator[tuple[str, str]]:
    """Give the reason code of each fact's absence with its path."""
    for name, part in document.facts.items():
        for field in ABSENCE_REASONS:
            code = getattr(part, field)
            if code is not None:
                yield f"facts.{name}.{field}", code


def _value_reasons(document: PolicyDocument) -> Iterator[tuple[str, str]]:
    """Give the reason code of each rule and characteristic with its path: they speak of a value."""
    for path, rule, _ in _named_rules(document):
        yield f"{path}.reason", rule.reason
    for position, line in enumerate(document.scorecard):
        yield f"scorecard[{position}].reason", line.reason


def _absences(document: PolicyDocument) -> Iterator[Violation]:
    """Find what would tell a customer of a value where none is known."""
    yield from _absence_parts(document)
    of_values = {code: path for path, code in _value_reasons(document)}
    for path, code in _absence_reasons(document):
        if code in of_values:
            what = f"{code} tells of a value at {of_values[code]}; what is not known needs a code of its own"
            yield Violation(path, what)
        elif code in DEFAULT_TEXTS:
            yield Violation(path, f"{code} tells of something else; what is not known needs a code of its own")
    for position, line in enumerate(document.scorecard):
        part = document.facts.get(line.fact)
        if part is None or part.reason is None or part.tells:
            continue
        if line.missing_points < max(bin_.points for bin_ in line.bins):
            what = f"{line.reason} would be told where {line.fact} is not known, too; give it {OWN_REASONS}"
            yield Violation(f"scorecard[{position}].reason", what)
    income = document.facts.get(INCOME)
    if income is None:
        yield Violation(f"facts.{INCOME}", "limits rest on it; declare it")
    elif income.reason is not None and not income.tells:
        what = f"a limit would be called too low for an income that is not known; give it {OWN_REASONS}"
        yield Violation(f"facts.{INCOME}.reason", what)


def _absence_parts(document: PolicyDocument) -> Iterator[Violation]:
    """Find facts whose absence has too few reasons, or too many."""
    for name, part in document.facts.items():
        path, is_used_stale = f"facts.{name}", part.when_stale is Treatment.USE
        if is_used_stale and name in PASSING:
            what = "an old value would be told as if it were of today; choose score, refer or decline"
            yield Violation(f"{path}.when_stale", what)
        if part.reason is not None and (part.tells or part.stale_reason is not None):
            yield Violation(f"{path}.reason", f"{OWN_REASONS} take its place; remove it")
        if part.tells and part.stale_reason is None and not is_used_stale:
            yield Violation(f"{path}.stale_reason", "say what the customer is told where what is known is too old")
        if part.stale_reason is not None and is_used_stale:
            yield Violation(f"{path}.stale_reason", "nobody is told it, since the fact is used however old; remove it")


def _texts(document: PolicyDocument) -> Iterator[Violation]:
    own = [*_absence_reasons(document), *_value_reasons(document)]
    for path, code in own:
        if code not in document.texts:
            yield Violation(path, f"{code} has no text; add it under texts")
        if code in BUILT_IN_REASONS:
            yield Violation(path, f"{code} is built in; choose another code")
    for code in BUILT_IN_REASONS:
        if code not in document.texts:
            yield Violation(f"texts.{code}", "every policy needs a text for this built-in reason")
    used = {code for _, code in own} | set(BUILT_IN_REASONS) | set(DEFAULT_TEXTS)
    for code in document.texts:
        if code not in used:
            yield Violation(f"texts.{code}", "no rule uses this code; remove it")
