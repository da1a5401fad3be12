"""The scorecard: the band that a score reaches, and what cost the customer most.

The points themselves come from the policy's generated code; worse never scores better, because bins of a directed
fact are monotone, which the document's validation checks.
"""

from collections.abc import Sequence

from service.domain.policy import Band, Characteristic, Ground


def band(bands: tuple[Band, ...], score: int) -> Band:
    """Give the best band that a score reaches; the last band takes every score."""
    for candidate in bands:
        if score >= candidate.from_score:
            return candidate
    return bands[-1]


def shortfalls(scorecard: tuple[Characteristic, ...], given: Sequence[int]) -> list[Ground]:
    """Give the grounds of the characteristics that cost points, dearest first.

    Ordering by distance from the maximum is one of the two methods that the commentary to 12 CFR 1002.9(b)(2)
    accepts for principal reasons.
    """
    lost = [
        (line.points_max - got, position) for position, (line, got) in enumerate(zip(scorecard, given, strict=True))
    ]
    lost.sort(key=lambda entry: (-entry[0], entry[1]))
    return [scorecard[position].ground for cost, position in lost if cost > 0]
