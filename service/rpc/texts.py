"""What people may write into a request: free texts, and what may stand in them.

Promises that no character that can't be seen, moves a cursor or turns the direction of a text is taken from now on, in
whichever call. What was stored before stays readable; who shows it escapes it (`printable`).
"""

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import Message

from service.domain.errors import Violation
from service.printable import unprintable

_SEVERAL_LINES: Final = True
_ONE_LINE: Final = False

FREE_TEXTS: Final = {
    # What customers say comes from fields of several lines, and so does what a reviewer answers.
    "holdline.v1.SubmitFeedbackRequest": {"text": _SEVERAL_LINES},
    "holdline.v1.SubmitSurveyRequest": {"text": _SEVERAL_LINES},
    "holdline.v1.SubmitAppealRequest": {"statement": _SEVERAL_LINES},
    "holdline.v1.ResolveAppealRequest": {"note": _SEVERAL_LINES},
    # A reference stands in one line of the audit trail, where a line break would forge another.
    "holdline.v1.ActivatePlaybookRequest": {"incident": _ONE_LINE},
}
"""The free texts of each request, and whether they may have several lines.

Other texts have patterns, and why a person acts is checked by `fields.reason_violations`, in one line as well.
"""


def violations(request: Message) -> Iterator[Violation]:
    """Find the free texts of a request that hold what nobody can see."""
    for field, has_lines in FREE_TEXTS[request.DESCRIPTOR.full_name].items():
        yield from written_violations(field, getattr(request, field), has_lines=has_lines)


def written_violations(field: str, text: str, *, has_lines: bool = False) -> Iterator[Violation]:
    """Find what nobody can see in one text."""
    if found := unprintable(text, has_lines=has_lines):
        also = "" if has_lines else ", in one line"
        yield Violation(field, f"holds the control character {found}; send characters that can be seen{also}")
