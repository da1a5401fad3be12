"""Versions of the rules of judging: what a policy leaves to the code that reads it.

Promises that a recorded decision can be judged again as it was judged: each carries the version it was made by, a
standing that is read from a record carries it too, and every place where versions differ asks `Standing.rules`.

A change of how the same policy judges the same standing (outcome, amount or reasons) needs a version. Until a version
is released, changes join it: say here what they are.
"""

from typing import Final

FIRST: Final = 1
"""What decisions from before versions were recorded are judged by."""

BOUNDS_NAMED: Final = 2
"""What holds an amount is named, and nothing else: every bound that gives what came out, the rounding unit where that
is what leaves nothing, what is owed apart from the floor. Waits are asked after the score, with the caps that hold,
too. A temporary raise that a policy grants keeps within the caps on what may be owed, and so does an appeal that
corrected facts settle."""

CURRENT: Final = BOUNDS_NAMED
"""What new decisions are judged by."""
