"""The contract's checks pass, and each of them can fail."""

import re
import shutil
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from service.rpc import refusals
from service.rpc.contract import FILES
from service.rpc.methods import INDEX_OF, METHODS, Role
from tests.house import contract


def test_stubs_schema_and_settings_are_fresh_and_the_contract_is_clean() -> None:
    assert contract.stale_stubs() == []
    assert contract.stale_documents() == []
    assert contract.lint(contract.image()) == []
    assert contract.breaking(contract.image()) == []


@pytest.fixture
def altered(tmp_path: Path) -> Path:
    shutil.copytree(contract.PROTOS, tmp_path / "protos", ignore=shutil.ignore_patterns("*_pb2*", "__pycache__"))
    return tmp_path / "protos"


def _replace(protos: Path, name: str, old: str, new: str) -> bytes:
    file = protos / "holdline" / "v1" / name
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return contract.image(protos)


def test_a_field_number_used_again_is_a_breaking_change(altered: Path) -> None:
    image = _replace(altered, "limit_service.proto", "string account_id = 2;", "int64 account_id = 2;")

    assert any("account_id" in line for line in contract.breaking(image))


def test_an_rpc_that_is_gone_and_a_service_of_another_name_are_breaking_changes(altered: Path) -> None:
    text = (altered / "holdline/v1/draw_service.proto").read_text(encoding="utf-8")
    rpc = next(line for line in text.splitlines() if "rpc GetHold(" in line)
    without = re.sub(r"  rpc GetHold\([^;{]*(;|\{[^}]*\})\n", "", text)
    image = _replace(altered, "draw_service.proto", text, without)
    renamed = _replace(altered, "event_service.proto", "service EventService {", "service BehaviourService {")

    assert rpc.strip() not in without
    assert any("GetHold" in line for line in contract.breaking(image))
    assert any("EventService" in line for line in contract.breaking(renamed))


def test_a_field_without_comment_fails_the_lint(altered: Path) -> None:
    image = _replace(altered, "money.proto", '  // ISO 4217 code, three capital letters, for example "CNY".\n', "")

    assert any("currency_code" in line for line in contract.lint(image))


def test_a_stub_that_differs_is_stale(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(contract.PROTOS, tmp_path / "protos")
    stub = tmp_path / "protos" / "holdline" / "v1" / "money_pb2.pyi"
    stub.write_text(stub.read_text(encoding="utf-8") + "\n# touched\n", encoding="utf-8")
    monkeypatch.setattr(contract, "PROTOS", tmp_path / "protos")

    assert contract.stale_stubs() == ["protos/holdline/v1/money_pb2.pyi: stale, run make stubs"]


def _said_roles(image: bytes) -> dict[str, frozenset[str]]:
    """Give the roles that each RPC's comment names, by path; nothing where it names none."""
    service_field, method_field = 6, 2
    found = {}
    for file in descriptor_pb2.FileDescriptorSet.FromString(image).file:
        comments = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
        for which, service in enumerate(file.service):
            for number, method in enumerate(service.method):
                comment = " ".join(comments.get((service_field, which, method_field, number), "").split())
                said = re.search(r"Roles: ([a-z_, ]+)[.;]", comment)
                names = frozenset(said[1].split(", ")) if said else frozenset()
                found[f"/{file.package}.{service.name}/{method.name}"] = names
    return found


def test_each_rpcs_comment_names_the_roles_that_may_call_it() -> None:
    everybody = frozenset(role.value for role in Role if role is not Role.ADMIN)

    said = {
        path: everybody if names == {"all"} else names
        for path, names in _said_roles(contract.image()).items()
        if path.startswith("/holdline.v1.")
    }

    assert said == {
        path: frozenset(role.value for role in METHODS[index].roles)
        for path, index in INDEX_OF.items()
        if path.startswith("/holdline.v1.")
    }


def test_the_tables_of_refusals_and_of_methods_are_about_the_same_rpcs() -> None:
    paths = {method.path.removeprefix("/holdline.v1.") for method in METHODS}

    assert set(refusals.TABLE) <= paths


def test_reads_and_no_others_say_that_they_have_no_side_effects() -> None:
    level = descriptor_pb2.MethodOptions.IdempotencyLevel
    said = {
        f"/{file.package}.{service.name}/{method.name}": level.Name(method.options.idempotency_level)
        for file in descriptor_pb2.FileDescriptorSet.FromString(contract.image()).file
        for service in file.service
        for method in service.method
    }
    keyed = {
        f"/{file.DESCRIPTOR.package}.{service.name}/{method.name}"
        for file in FILES
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if {"request_id", "requests", "accounts", "events"} & set(method.input_type.fields_by_name)
    } - {"/holdline.v1.DrawService/GetPosting", "/holdline.v1.LimitService/GetDecision"}

    assert {path for path, what in said.items() if what == "NO_SIDE_EFFECTS"} == set(said) - keyed


def test_a_comment_that_names_another_role_is_found(altered: Path) -> None:
    image = _replace(altered, "notification_service.proto", "Roles: on_call.", "Roles: on_call, caller.")

    assert _said_roles(image)["/holdline.v1.NotificationService/RedriveMessages"] == {"on_call", "caller"}
