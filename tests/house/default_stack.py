"""What a team would write by default: the same decision behind FastAPI and uvicorn, with SQLAlchemy on SQLite.

A peer for `make bench`, not an example: the same domain function, the same facts, one idempotency key a decision, one
transaction a call, WAL and synchronous FULL as ours, three rows written. `python -m tests.house.default_stack FILE`
prints its port and serves on loopback until its standard input ends.
"""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import BigInteger, String, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from service.domain.account import Account, Status, opened
from service.domain.decide import decide
from service.domain.decision import DecideCommand, Kind, Moment
from service.domain.facts import CHARACTERISTICS, INDEX, NOTHING_KNOWN, Profile, merge
from service.domain.mode import NORMAL
from service.domain.policy import Policy
from tests.builders import DAY_US, news, policy


class Base(DeclarativeBase):
    """Tables."""


class AccountRow(Base):
    """An account with what is known of it, as JSON."""

    __tablename__ = "accounts"
    account_id: Mapped[str] = mapped_column(String, primary_key=True)
    limit_minor: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int]
    facts: Mapped[str]


class DecisionRow(Base):
    """A decision, with its answer as JSON."""

    __tablename__ = "decisions"
    number: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String, unique=True)
    account_id: Mapped[str] = mapped_column(String, index=True)
    answer: Mapped[str]


class Asked(BaseModel):
    """A request."""

    request_id: str
    account_id: str
    kind: str
    facts: dict[str, int]


def application(path: str, rules: Policy) -> FastAPI:
    """Make the application."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 5})

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: Any) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")

    Base.metadata.create_all(engine)
    sessions = sessionmaker(engine)
    # SQLite has one writer; without this, threads would meet its lock and time out.
    writes = threading.Lock()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> Any:
        yield
        engine.dispose()

    def session() -> Iterator[Session]:
        with writes, sessions() as made:
            yield made

    app = FastAPI(lifespan=lifespan)

    @app.post("/decide")
    def _decide(asked: Asked, session: Annotated[Session, Depends(session)]) -> dict[str, Any]:
        recorded = session.query(DecisionRow).filter_by(key=asked.request_id).one_or_none()
        if recorded is not None:
            answer: dict[str, Any] = json.loads(recorded.answer)
            return answer
        row = session.get(AccountRow, asked.account_id)
        now_us = time.time_ns() // 1_000
        kind = Kind[asked.kind]
        if row is None and kind is not Kind.ASSIGN:
            raise HTTPException(404, "no such account")
        moment = Moment(now_us, now_us // DAY_US)
        after, made = decide(_command(asked, kind), _account(row, asked.account_id, now_us), rules, NORMAL, moment)
        answer = {
            "outcome": made.outcome.name, "old_limit": made.old_limit_minor, "new_limit": made.new_limit_minor,
            "reasons": list(made.reasons), "policy": made.policy_version, "version": made.account_version,
        }  # fmt: skip
        session.merge(
            AccountRow(
                account_id=asked.account_id, limit_minor=after.limit_minor, version=after.version,
                facts=json.dumps(dict(_known(after.profile))),
            )
        )  # fmt: skip
        session.add(DecisionRow(key=asked.request_id, account_id=asked.account_id, answer=json.dumps(answer)))
        session.commit()
        return answer

    return app


def _known(profile: Profile) -> Iterator[tuple[str, int]]:
    for fact, value in zip(CHARACTERISTICS, profile.values, strict=False):
        if value is not None:
            yield fact.name, value


def _account(row: AccountRow | None, account_id: str, now_us: int) -> Account:
    base = opened(account_id, "revolving", "CNY")
    if row is None:
        return base
    known = tuple((INDEX[name], value) for name, value in json.loads(row.facts).items())
    return base._replace(
        status=Status.ACTIVE, limit_minor=row.limit_minor, version=row.version,
        profile=merge(NOTHING_KNOWN, known, now_us),
    )  # fmt: skip


def _command(asked: Asked, kind: Kind) -> DecideCommand:
    product = "revolving" if kind is Kind.ASSIGN else ""
    return DecideCommand("peer", asked.request_id, b"", asked.account_id, product, kind, news(**asked.facts), (), 0, "")


def main() -> None:
    """Serve until standard input ends."""
    server = uvicorn.Server(
        uvicorn.Config(application(sys.argv[1], policy()), loop="uvloop", log_level="error", access_log=False)
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()

        def until_the_end() -> None:
            sys.stdin.read()
            server.should_exit = True

        threading.Thread(target=until_the_end, daemon=True).start()
        server.run(sockets=[listener])
    os._exit(0)


if __name__ == "__main__":
    main()
