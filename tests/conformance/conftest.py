"""Every store, for the suites that each must pass."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service import bootstrap
from service.storage.memory.store import MemoryStore
from service.storage.sqlite.store import SqliteStore
from tests.builders import Bench, sqlite

Store = SqliteStore | MemoryStore
STORES: dict[str, Callable[[Path], Store]] = {
    "sqlite": lambda folder: sqlite(folder / "holdline.db"),
    "memory": lambda _: MemoryStore(bootstrap.now_us),
}


@pytest.fixture(params=STORES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    store = STORES[request.param](tmp_path)
    yield Bench(store)
    store.close()
