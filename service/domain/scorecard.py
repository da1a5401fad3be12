"""The scorecard: the band that a score reaches, and what cost the customer most.

The points themselves come from the policy's generated code; worse never scores better, because bins of a directed
fact are monotone, which the document's validation checks.
"""

from collections.abc import Sequence

from service.domain.policy import Band, Characteristic, Ground, Values, unknown


def band(bands: tuple[Band, ...], score: int) -> Band:
    """Give the best band that a score reaches; the last band takes every score."""
    for candidate in bands:
        if score >= candidate.from_score:
            return candidate
    return bands[-1]


def told(line: Characteristic, values: Values, stored: Values) -> Ground:
    """Give what speaks for a characteristic's points: its ground, or the absence of a fact that is not known."""
    return line.ground if values[line.fact] is not None else unknown(line.absence, stored[line.fact])


def shortfalls(
    scorecard: tuple[Characteristic, ...], given: Sequence[int], values: Values, stored: Values
) -> list[Ground]:
    """Give the grounds of the characteristics that cost points, dearest first, on usable values.

    What is not known is called so: the stored values tell a missing fact from a stale one.
    Ordering by distance from the maximum is one of the two methods that the commentary to 12 CFR 1002.9(b)(2)
    accepts for principal reasons.
    """
    lost = [
        (line.points_max - got, position) for position, (line, got) in enumerate(zip(scorecard, given, strict=True))
    ]
    lost.sort(key=lambda entry: (-entry[0], entry[1]))
    return [told(scorecard[position], values, stored) for cost, position in lost if cost > 0]
