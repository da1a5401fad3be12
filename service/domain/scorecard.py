"""The scorecard: points by characteristic, the score as their sum, and what cost the customer most.

Promises that the contributions add up to the score and that worse never scores better (bins of a directed fact are
monotone, which the document's validation checks).
"""

from bisect import bisect_right

from service.domain.policy import Band, Characteristic, Ground


def points(scorecard: tuple[Characteristic, ...], values: list[int | None]) -> list[int]:
    """Give the points of each characteristic, in the scorecard's order."""
    given = []
    for _, fact, bounds, bin_points, missing_points, _ in scorecard:
        value = values[fact]
        given.append(missing_points if value is None else bin_points[bisect_right(bounds, value)])
    return given


def band(bands: tuple[Band, ...], score: int) -> Band:
    """Give the best band that a score reaches; the last band takes every score."""
    for candidate in bands:
        if score >= candidate.from_score:
            return candidate
    return bands[-1]


def shortfalls(scorecard: tuple[Characteristic, ...], given: list[int]) -> list[Ground]:
    """Give the grounds of the characteristics that cost points, dearest first.

    Ordering by distance from the maximum is one of the two methods that the commentary to 12 CFR 1002.9(b)(2)
    accepts for principal reasons.
    """
    lost = [
        (line.points_max - got, position) for position, (line, got) in enumerate(zip(scorecard, given, strict=True))
    ]
    lost.sort(key=lambda entry: (-entry[0], entry[1]))
    return [scorecard[position].ground for cost, position in lost if cost > 0]
