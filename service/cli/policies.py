"""`holdline policy …`: validate without a server; publish, promote, roll back, list and show on a running one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import output
from service.cli.output import CALLER, SERVER, Caller, Json, Server

if TYPE_CHECKING:
    from holdline.v1 import policy_service_pb2

app = typer.Typer(no_args_is_help=True, help="Validate, publish, promote and roll back policies.")

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The policy document, YAML or JSON.")]
Version = Annotated[str, typer.Argument(help="The policy version.")]
Reason = Annotated[str, typer.Option(prompt="Why (for the record)", help="Why, for the record.")]


@app.command()
def validate(file: File, as_json: Json = False) -> None:
    """Check a document and report every mistake with its path; needs no server."""
    from service.domain.errors import InvalidRequest
    from service.domain.policy_life import refuse_currency
    from service.policies.compiler import compile_text

    try:
        compiled = compile_text(output.text_of(file))
        refuse_currency(compiled.policy)
    except InvalidRequest as error:
        found = [(violation.field.removeprefix("document."), violation.description) for violation in error.violations]
        if as_json:
            output.print_json({"violations": [{"path": path, "message": message} for path, message in found]})
        else:
            for path, message in found:
                output.echo(f"{path}: {message}", fg="red")
        raise typer.Exit(output.REFUSED) from error
    if as_json:
        output.print_json({"violations": [], "content_hash": compiled.content_hash})
    else:
        output.echo(f"{compiled.policy.version} is valid, content {compiled.content_hash[:12]}")


@app.command()
def publish(file: File, server: Server = SERVER, caller: Caller = CALLER, as_json: Json = False) -> None:
    """Publish a document as a draft; it decides nothing until it is promoted."""
    document = output.text_of(file)
    with output.connected(server, caller) as client:
        response = client.publish_policy(document)
    _show(response, response.policy, as_json=as_json)


@app.command()
def promote(
    version: Version, reason: Reason, server: Server = SERVER, caller: Caller = CALLER, as_json: Json = False
) -> None:
    """Make a draft decide, from the next decision on."""
    with output.connected(server, caller) as client:
        response = client.promote_policy(version, reason=reason)
    _show(response, response.policy, as_json=as_json)


@app.command()
def rollback(
    product: Annotated[str, typer.Argument(help="The product whose policy is rolled back.")],
    reason: Reason,
    to_version: Annotated[str, typer.Option("--to", help="The version to return to; the one before by default.")] = "",
    from_version: Annotated[str, typer.Option("--from", help="The version to leave; refused unless it decides.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask; for scripts.")] = False,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Make an earlier version decide again, from the next decision on, after naming it and asking.

    Without --to it is the one before, never one that a roll-back has left: again goes further back.
    """
    with output.connected(server, caller) as client:
        planned = client.rollback_target(product, from_version=from_version, to_version=to_version).change
        if not yes:
            output.confirm(f"Put {planned.to_version} in force for {product}, in place of {planned.from_version}?")
        response = client.rollback_policy(
            product, from_version=planned.from_version, to_version=planned.to_version, reason=reason
        )
    if not as_json:
        output.echo(f"{product}: from {response.change.from_version} back to {response.change.to_version}")
    _show(response, response.policy, as_json=as_json)


@app.command("list")
def list_policies(
    product: Annotated[str, typer.Option(help="Only this product's.")] = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """List the versions, newest first."""
    with output.connected(server, caller) as client:
        found = list(client.policies(product))
    if as_json:
        output.print_json(found)
    else:
        _table(found)


@app.command()
def show(version: Version, server: Server = SERVER, caller: Caller = CALLER, as_json: Json = False) -> None:
    """Print a version's document as it was published."""
    with output.connected(server, caller) as client:
        response = client.policy(version)
    if as_json:
        output.print_json(response)
    else:
        output.echo_text(response.document)


def _show(
    response: policy_service_pb2.PublishPolicyResponse
    | policy_service_pb2.PromotePolicyResponse
    | policy_service_pb2.RollbackPolicyResponse,
    policy: policy_service_pb2.PolicyVersion,
    *,
    as_json: bool,
) -> None:
    if as_json:
        output.print_json(response)
    else:
        _table([policy])


def _table(found: list[policy_service_pb2.PolicyVersion]) -> None:
    from holdline.v1 import policy_service_pb2

    rows = [
        (
            policy.version,
            policy.product,
            policy.currency_code,
            policy_service_pb2.PolicyState.Name(policy.state).removeprefix("POLICY_STATE_").lower(),
            policy.content_hash[:12],
            policy.published_by.caller,
            policy.activated_at.ToJsonString() if policy.HasField("activated_at") else "–",
        )
        for policy in found
    ]
    output.table("Policies", ("version", "product", "currency", "state", "content", "by", "active since (UTC)"), rows)
