"""What a batch of a megabyte may bring is refused at a glance: the engine's thread answers everybody."""

import pytest
from holdline.v1 import account_service_pb2, limit_service_pb2
from holdline.v1 import notification_service_pb2 as pb

from service.domain.errors import InvalidRequest
from service.rpc import fields
from service.rpc.notifications import _message_ids_violations

LONG = 500_000


def test_of_a_long_name_no_character_is_looked_at() -> None:
    looked: list[str] = []

    told = fields.spelled("\u00e9" * LONG, 64, "printable ASCII", looked.append)

    assert told == f"{LONG} characters; send 1 to 64 of printable ASCII"
    assert looked == []


def test_of_a_short_name_the_first_wrong_character_is_told() -> None:
    assert fields.request_id_violations("r-\u00e9")[0].description.startswith("'\u00e9' can't be character 3")
    assert fields.request_id_violations("")[0].description.startswith("0 characters")


def test_of_a_long_list_of_ids_only_their_number_is_told() -> None:
    found = _message_ids_violations(pb.RedriveMessagesRequest(message_ids=[""] * LONG).message_ids)

    assert [(one.field, one.description) for one in found] == [("message_ids", f"{LONG} items; send 1 to 1000")]


@pytest.mark.parametrize("message", [limit_service_pb2.DecideRequest, account_service_pb2.ImportAccount])
def test_a_long_list_of_languages_is_told_by_its_number_and_not_searched(
    message: type[limit_service_pb2.DecideRequest | account_service_pb2.ImportAccount],
) -> None:
    request = message(language_codes=[""] * fields.LANGUAGES_MAX + ["zh"])

    assert fields.languages(request) == ()
    with pytest.raises(InvalidRequest):
        fields.refuse(fields.language_violations(request))
