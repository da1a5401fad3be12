"""The synchronous client's feedback, surveys and appeals."""

from collections.abc import Iterator, Sequence

from holdline.client import requests
from holdline.client.caller import Caller
from holdline.v1 import account_pb2, money_pb2
from holdline.v1 import feedback_service_pb2 as pb


class FeedbackClient(Caller):
    """Sends what customers say, and resolves appeals."""

    def feedback(
        self, account_id: str, category: str, text: str = "", *, decision_id: str = "", request_id: str = ""
    ) -> pb.SubmitFeedbackResponse:
        """Record feedback: unclear, unfair, wrong_data, praise or other. Raises HoldlineError."""
        request = pb.SubmitFeedbackRequest(
            request_id=request_id or requests.new_request_id(),
            account_id=account_id,
            decision_id=decision_id,
            category=pb.FeedbackCategory.Value(f"FEEDBACK_CATEGORY_{category.upper()}"),
            text=text,
        )
        return self._call(self._feedback.SubmitFeedback, request, request.request_id)

    def survey(
        self, account_id: str, score: int, text: str = "", *, decision_id: str = "", request_id: str = ""
    ) -> pb.SubmitSurveyResponse:
        """Record a survey's score, 1 to 5, and words. Raises HoldlineError."""
        request = pb.SubmitSurveyRequest(
            request_id=request_id or requests.new_request_id(),
            account_id=account_id,
            decision_id=decision_id,
            score=score,
            text=text,
        )
        return self._call(self._feedback.SubmitSurvey, request, request.request_id)

    def appeal(
        self,
        account_id: str,
        decision_id: str,
        statement: str,
        *,
        facts: "requests.FactValues | account_pb2.Facts | None" = None,
        request_id: str = "",
    ) -> pb.SubmitAppealResponse:
        """Open a case against a decision, with corrected facts where there are any. Raises HoldlineError."""
        request = pb.SubmitAppealRequest(
            request_id=request_id or requests.new_request_id(),
            account_id=account_id,
            decision_id=decision_id,
            statement=statement,
            corrected_facts=requests.facts_of(facts),
        )
        return self._call(self._feedback.SubmitAppeal, request, request.request_id)

    def resolve(
        self, case_id: str, note: str, *, new_limit: money_pb2.Money | None = None, request_id: str = ""
    ) -> pb.ResolveAppealResponse:
        """Overturn a decision by giving `new_limit`, or uphold it where there is none. Raises HoldlineError."""
        request = pb.ResolveAppealRequest(
            request_id=request_id or requests.new_request_id(),
            case_id=case_id,
            resolution=pb.RESOLUTION_UPHELD if new_limit is None else pb.RESOLUTION_OVERTURNED,
            new_limit=new_limit,
            note=note,
        )
        return self._call(self._feedback.ResolveAppeal, request, request.request_id)

    def case(self, case_id: str) -> pb.GetCaseResponse:
        """Read a case with the decision that it appeals and why that came out so. Raises HoldlineError."""
        return self._call(self._feedback.GetCase, pb.GetCaseRequest(case_id=case_id), "")

    def case_notes(self, case_id: str, page_size: int = 100) -> Iterator[pb.CaseNote]:
        """Read what reviewers said on a case, oldest first, page by page. Raises HoldlineError."""
        request = pb.ListCaseNotesRequest(case_id=case_id, page_size=page_size)
        for page in self._pages(self._feedback.ListCaseNotes, request):
            yield from page.notes

    def cases(
        self, states: Sequence[str] = (), *, account_id: str = "", only_overdue: bool = False, page_size: int = 100
    ) -> Iterator[pb.Case]:
        """Read cases, newest first: open, awaiting_second or resolved ones, or all; of an account or of all.

        Raises HoldlineError.
        """
        request = pb.ListCasesRequest(
            account_id=account_id,
            states=[pb.CaseState.Value(f"CASE_STATE_{state.upper()}") for state in states],
            only_overdue=only_overdue,
            page_size=page_size,
        )
        for page in self._pages(self._feedback.ListCases, request):
            yield from page.cases

    def feedback_report(self, days: int = 30, product: str = "") -> pb.GetFeedbackReportResponse:
        """Count complaints by reason code and policy version, against the days before. Raises HoldlineError."""
        request = pb.GetFeedbackReportRequest(days=days, product=product)
        return self._call(self._feedback.GetFeedbackReport, request, "")
