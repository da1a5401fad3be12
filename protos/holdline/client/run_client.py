"""The synchronous client's daily runs, closings and promises."""

import time
from collections.abc import Iterator, Sequence
from datetime import date

import grpc

from holdline.client import errors, requests
from holdline.client.caller import Caller
from holdline.client.retry import RESUME_SECONDS, Outage
from holdline.v1 import run_service_pb2 as runs


class RunClient(Caller):
    """Runs and closes business dates; a date is a `date` or YYYY-MM-DD."""

    def start_run(self, business_date: date | str, *, request_id: str = "") -> runs.DailyRun:
        """Start a business date's run of promised raises, once; a cancelled one stays so. Raises HoldlineError."""
        request = runs.StartDailyRunRequest(
            request_id=request_id or requests.new_request_id(), business_date=requests.iso_date(business_date)
        )
        return self._call(self._runs.StartDailyRun, request, request.request_id).run

    def resume_run(self, business_date: date | str, *, reason: str, request_id: str = "") -> runs.DailyRun:
        """Let a cancelled run go on. Raises HoldlineError."""
        request = runs.ResumeDailyRunRequest(
            request_id=request_id or requests.new_request_id(), business_date=requests.iso_date(business_date),
            reason=reason,
        )  # fmt: skip
        return self._call(self._runs.ResumeDailyRun, request, request.request_id).run

    def run(self, business_date: date | str) -> runs.DailyRun:
        """Read how far a run is. Raises HoldlineError."""
        request = runs.GetDailyRunRequest(business_date=requests.iso_date(business_date))
        return self._call(self._runs.GetDailyRun, request, "").run

    def list_runs(self, states: Sequence[str] = (), page_size: int = 100) -> Iterator[runs.DailyRun]:
        """Read runs, newest date first: running, done or cancelled ones, or all. Raises HoldlineError."""
        wanted = [runs.RunState.Value(f"RUN_STATE_{state.upper()}") for state in states]
        for page in self._pages(self._runs.ListRuns, runs.ListRunsRequest(states=wanted, page_size=page_size)):
            yield from page.runs

    def cancel_run(self, business_date: date | str, *, reason: str, request_id: str = "") -> runs.DailyRun:
        """Stop a run; what was raised stays raised. Raises HoldlineError."""
        request = runs.CancelDailyRunRequest(
            request_id=request_id or requests.new_request_id(), business_date=requests.iso_date(business_date),
            reason=reason,
        )  # fmt: skip
        return self._call(self._runs.CancelDailyRun, request, request.request_id).run

    def watch_run(self, business_date: date | str) -> Iterator[runs.DailyRun]:
        """Give a run now and whenever it has come further, until it is over; a broken stream is resumed.

        Raises HoldlineError for what can't be retried: a refusal, or a server that stays out of reach.
        """
        request = runs.WatchDailyRunRequest(business_date=requests.iso_date(business_date))
        outage = Outage(self._timeout_seconds)
        while True:
            began = time.monotonic()
            try:
                for seen in self._runs.WatchDailyRun(request, metadata=self._metadata):
                    request.resume_token = seen.resume_token
                    outage.end()
                    yield seen.run
            except grpc.RpcError as error:
                outage.endure(errors.from_rpc(error), began, time.monotonic())
                time.sleep(RESUME_SECONDS)
            else:
                return

    def close_day(self, business_date: date | str, *, request_id: str = "") -> runs.Closing:
        """Close a business date; `closing` tells how that goes. Raises HoldlineError."""
        request = runs.CloseBusinessDayRequest(
            request_id=request_id or requests.new_request_id(), business_date=requests.iso_date(business_date)
        )
        return self._call(self._runs.CloseBusinessDay, request, request.request_id).closing

    def closing(self, business_date: date | str) -> runs.Closing:
        """Read how far a closing, or the making good of its date, is. Raises HoldlineError."""
        request = runs.GetClosingRequest(business_date=requests.iso_date(business_date))
        return self._call(self._runs.GetClosing, request, "").closing

    def closings(self, states: Sequence[str] = (), page_size: int = 100) -> Iterator[runs.Closing]:
        """Read closings, newest date first: closing, closed, making_good or made_good ones, or all.

        Raises HoldlineError.
        """
        wanted = [runs.ClosingState.Value(f"CLOSING_STATE_{state.upper()}") for state in states]
        request = runs.ListClosingsRequest(states=wanted, page_size=page_size)
        for page in self._pages(self._runs.ListClosings, request):
            yield from page.closings

    def make_good(self, business_date: date | str, *, reason: str, request_id: str = "") -> runs.Closing:
        """Raise those for whom a closed date is missing a raise; `closing` tells on. Raises HoldlineError."""
        request = runs.MakeGoodBusinessDayRequest(
            request_id=request_id or requests.new_request_id(), business_date=requests.iso_date(business_date),
            reason=reason,
        )  # fmt: skip
        return self._call(self._runs.MakeGoodBusinessDay, request, request.request_id).closing

    def discrepancies_of(self, account_id: str, count: int = 100) -> list[runs.Discrepancy]:
        """Read an account's newest discrepancies, of all dates. Raises HoldlineError."""
        request = runs.ListDiscrepanciesRequest(account_id=account_id, page_size=count)
        return list(self._call(self._runs.ListDiscrepancies, request, "").discrepancies)

    def discrepancies(self, business_date: date | str, page_size: int = 100) -> Iterator[runs.Discrepancy]:
        """Read the accounts for which a date does not add up or that it left short. Raises HoldlineError."""
        day = requests.iso_date(business_date)
        request = runs.ListDiscrepanciesRequest(business_date=day, page_size=page_size)
        for page in self._pages(self._runs.ListDiscrepancies, request):
            yield from page.discrepancies

    def entitlements(self, account_id: str, page_size: int = 100) -> Iterator[runs.Entitlement]:
        """Read an account's promises, newest first, page by page. Raises HoldlineError."""
        request = runs.ListEntitlementsRequest(account_id=account_id, page_size=page_size)
        for page in self._pages(self._runs.ListEntitlements, request):
            yield from page.entitlements
