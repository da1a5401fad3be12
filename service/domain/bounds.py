"""Bounds on an amount, and which of them a verdict names.

What a bound leaves is its room, in minor units. Promises that what is named bound: where an amount comes out shorter
than wanted, the named bounds are all those whose room, rounded, is the amount; where nothing comes out, all that by
themselves leave less than one rounding unit. So without the named bounds, all of them together, the same standing comes
out otherwise; without any one alone, too, unless several give the same.
"""

from collections.abc import Sequence

from service.domain.money import round_down, share
from service.domain.policy import Ground, Policy
from service.domain.rules import FIRST

Rooms = Sequence[tuple[int, Ground]]
"""Rooms with the grounds of their bounds."""


def cutting_short(wanted_minor: int, rooms: Rooms, unit_minor: int, rules: int) -> tuple[Ground, ...]:
    """Give the grounds of the bounds that leave less than is wanted, where they leave something; none where none do."""
    room = min(left for left, _ in rooms)
    if rules == FIRST:
        return () if room >= wanted_minor else (next(ground for left, ground in rooms if left == room),)
    given = round_down(room, unit_minor)
    if given >= round_down(wanted_minor, unit_minor):
        return ()
    return tuple(ground for left, ground in rooms if round_down(left, unit_minor) == given)


def too_small(wanted_minor: int, rooms: Rooms, least_minor: int, ground: Ground) -> tuple[Ground, ...]:
    """Give the grounds of all that is less than the least amount, what is wanted (under `ground`) before the bounds."""
    tight = below(rooms, least_minor)
    return (ground, *tight) if wanted_minor < least_minor else tight


def below(rooms: Rooms, least_minor: int) -> tuple[Ground, ...]:
    """Give the grounds of the bounds that leave less than an amount, the tightest first."""
    tight = sorted((left, place) for place, (left, _) in enumerate(rooms) if left < least_minor)
    return tuple(rooms[place][1] for _, place in tight)


def owed_rooms(policy: Policy, owed: int, income_minor: int | None) -> Rooms:
    """Give the room that each cap on what may be owed leaves above an amount; the greatest limit's alone for a person.

    A person's word has no income to be held against: None.
    """
    caps = policy.caps
    absolute = (caps.absolute.bound - owed, caps.absolute.ground)
    if income_minor is None:
        return (absolute,)
    return (
        absolute,
        (share(income_minor, caps.debt_to_income_bp.bound) - owed, caps.debt_to_income_bp.ground),
        (caps.automatic.bound - owed, caps.automatic.ground),
    )
