"""Holdline beside an existing decision service: Cerbos, a policy decision point over gRPC, from the npm registry.

Promises that the peer is asked the same question: the active policy's knock-outs, eligibility, scorecard and steps,
written into Cerbos's own policy language from the document that the server itself gives. It answers what the raise
would be and keeps an audit record, without a sync; it holds no accounts, no keys and no growth caps, so callers send
every fact, and a ratio here compares a durable decision with one that is only computed.
"""

import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import yaml
from google.protobuf import struct_pb2
from holdline.v1 import account_pb2
from holdline.v1.money_pb2 import Money

from loadtests import bodies, wire
from loadtests.own_server import free_ports
from loadtests.peers import turns

METHOD: Final = "/cerbos.svc.v1.CerbosService/CheckResources"
SAMPLE: Final = 200
ALLOW: Final = b"\x0a\x05raise\x10\x01"
"""The action's entry in an answer, with EFFECT_ALLOW."""
START_SECONDS_MAX: Final = 30.0
INSTALL_SECONDS_MAX: Final = 300
_LOCKED: Final = ("package.json", "package-lock.json", ".npmrc")
_COMPARED: Final = {"at_least": ">=", "at_most": "<="}
_REVERSED: Final = {"at_least": "<", "at_most": ">"}


def binary() -> Path | None:
    """Give Cerbos's program, installed as locked into this environment; None where npm or a build of it is missing."""
    folder = Path(sys.prefix) / "peers" / "cerbos"
    program = folder / "node_modules" / "@cerbos" / "cerbos-linux-x64" / "cerbos-linux-x64"
    if not program.exists():
        npm = shutil.which("npm")
        if npm is None:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        for name in _LOCKED:
            shutil.copy(Path(__file__).parent / name, folder / name)
        subprocess.run([npm, "ci"], cwd=folder, check=True, capture_output=True, timeout=INSTALL_SECONDS_MAX)
    return program if program.exists() else None


def policy_of(document: str) -> str:
    """Write what a policy document says of a raise in Cerbos's policy language, as YAML."""
    policy: dict[str, Any] = yaml.safe_load(document)
    refusing = [rule for rule in policy["knock_outs"] if "raise" in rule["applies_to"]]
    conditions = [f"!({_compared(rule)})" for rule in refusing]
    conditions += [f"!({_compared(rule, _REVERSED)})" for rule in policy["raise"]["eligibility"]]
    steps = [band for band in policy["bands"] if "daily_step" in band]
    conditions.append(f"V.points >= {min(band['from_score'] for band in steps)}")
    points = " + ".join(f"({_points(one)})" for one in policy["scorecard"])
    step = "0.0"
    for band in sorted(steps, key=lambda band: band["from_score"]):
        bounds = band["daily_step"]
        share = f"R.attr.limit * {bounds['share_bp'] / 10_000}"
        least, most = f"{bounds['minimum_minor']}.0", f"{bounds['maximum_minor']}.0"
        raised = f"({share} < {least} ? {least} : ({share} > {most} ? {most} : {share}))"
        step = f"(V.points >= {band['from_score']} ? {raised} : {step})"
    rule = {
        "actions": ["raise"], "effect": "EFFECT_ALLOW", "roles": ["lender"],
        "condition": {"match": {"all": {"of": [{"expr": one} for one in conditions]}}},
        "output": {"when": {"ruleActivated": f'{{"points": V.points, "step": {step}}}'}},
    }  # fmt: skip
    return yaml.safe_dump(
        {
            "apiVersion": "api.cerbos.dev/v1",
            "resourcePolicy": {
                "resource": "limit", "version": "default", "rules": [rule],
                "variables": {"local": {"points": points}},
            },
        }
    )  # fmt: skip


def _compared(rule: dict[str, Any], signs: dict[str, str] = _COMPARED) -> str:
    """Write a rule's bound; a fact that is not known breaks none."""
    bound = next(name for name in _COMPARED if name in rule)
    fact = f"R.attr.{rule['fact']}"
    return f"has({fact}) && {fact} {signs[bound]} {rule[bound]}.0"


def _points(characteristic: dict[str, Any]) -> str:
    fact = f"R.attr.{characteristic['fact']}"
    *bins, last = characteristic["bins"]
    expression = str(last["points"])
    for one in reversed(bins):
        expression = f"({fact} < {one['below']}.0 ? {one['points']} : {expression})"
    return f"has({fact}) ? {expression} : {characteristic['missing_points']}"


def lines(listen: str, document: str, seconds: float, rounds: int) -> list[str]:
    """Measure both in turns, the peer under a policy document's rules; gives lines of the figures."""
    program = binary()
    if program is None:
        return ["| durable decision against Cerbos: not here, it needs npm on x86-64 Linux | | | | |"]
    rng = random.Random(13)
    with running(program, document) as peer:
        allowed = _allowed(peer, rng)
        assert 0 < allowed < SAMPLE, "Cerbos decides every call alike, so it does not read the rules"

        def ask() -> wire.Run:
            with closing(wire.Connection(peer, METHOD, "bench")) as connection:
                return wire.closed_loop(connection, prepared(int(25_000 * seconds), rng), turns.IN_FLIGHT, seconds)

        return turns.lines(listen, "Cerbos, which computes it and keeps nothing", ask, seconds, rounds)


def _allowed(listen: str, rng: random.Random) -> int:
    """Give how many of a sample Cerbos allows."""
    with grpc.insecure_channel(listen) as channel:
        call: Any = channel.unary_unary(METHOD)
        answers = [call(body, timeout=5) for body in prepared(SAMPLE, rng)]
    return sum(ALLOW in answer for answer in answers)


@contextmanager
def running(program: Path, document: str) -> Iterator[str]:
    """Run Cerbos on loopback with a policy document's rules; gives its address."""
    with tempfile.TemporaryDirectory(prefix="holdline-peer-") as name:
        folder = Path(name)
        (folder / "policies").mkdir()
        (folder / "policies" / "limit.yaml").write_text(policy_of(document), encoding="utf-8")
        grpc_port = free_ports(2)
        address = f"127.0.0.1:{grpc_port}"
        (folder / "config.yaml").write_text(
            yaml.safe_dump(
                {
                    "server": {"grpcListenAddr": address, "httpListenAddr": f"127.0.0.1:{grpc_port + 1}"},
                    "storage": {"driver": "disk", "disk": {"directory": str(folder / "policies")}},
                    "audit": {
                        "enabled": True, "accessLogsEnabled": False, "decisionLogsEnabled": True, "backend": "local",
                        "local": {"storagePath": str(folder / "audit")},
                    },
                    "telemetry": {"disabled": True},
                }
            ),
            encoding="utf-8",
        )  # fmt: skip
        command = [str(program), "server", "--config", str(folder / "config.yaml"), "--log-level", "error"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _await_listening(process, grpc_port)
            yield address
        finally:
            process.terminate()
            process.wait(START_SECONDS_MAX)


def _await_listening(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"Cerbos ended with {process.returncode} before it listened")
        with closing(socket.socket()) as probe:
            probe.settimeout(1.0)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("Cerbos does not listen")


def prepared(amount: int, rng: random.Random) -> Iterator[bytes]:
    """Give bodies of a CheckResources each, with the facts that Holdline's calls state and what its store knows."""
    return iter([_body(number, rng) for number in range(amount)])


def _body(number: int, rng: random.Random) -> bytes:
    known = account_pb2.Facts()
    known.CopyFrom(bodies.GOOD)
    known.MergeFrom(bodies.facts(rng))
    attributes: dict[str, float] = {
        one.name: value.minor_units if isinstance(value, Money) else value for one, value in known.ListFields()
    }
    attributes |= {"utilisation_bp": 0, "limit": 1_000_000}
    resource = _field(b"\x0a", b"limit") + _field(b"\x1a", f"acc-{rng.randrange(bodies.ACCOUNTS)}".encode())
    for name, value in attributes.items():
        entry = struct_pb2.Value(number_value=value).SerializeToString()
        resource += _field(b"\x22", _field(b"\x0a", name.encode()) + _field(b"\x12", entry))
    principal = _field(b"\x0a", b"bench") + _field(b"\x1a", b"lender")
    entry = _field(b"\x0a", b"raise") + _field(b"\x12", resource)
    return _field(b"\x0a", f"c-{number}".encode()) + _field(b"\x1a", principal) + _field(b"\x22", entry)


def _field(tag: bytes, content: bytes) -> bytes:
    """Write a length-delimited field of at most 16,383 bytes."""
    length = len(content)
    return tag + (bytes((length,)) if length < 128 else bytes((length & 127 | 128, length >> 7))) + content
