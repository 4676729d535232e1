"""A process that writes to a database until it is killed, and prints each write once it was acknowledged.

Run: python -m tests.store.child_writer DB LIFE
"""

from __future__ import annotations

import sys
from pathlib import Path

import trio

from aimem.ports import system_files
from aimem.store import NodeLock, Store
from tests.nodes import open_store
from tests.store.test_crash import put_pair

CALLERS = 8


async def call(store: Store, name: str) -> None:
    number = 0
    while True:
        await store.write(put_pair, f"{name}-{number}")
        print(f"{name}-{number}", flush=True)
        number += 1


async def main(db: Path, life: str) -> None:
    lock = NodeLock.take(system_files(), db, f"life {life}")
    try:
        async with open_store(db) as store, trio.open_nursery() as callers:
            for caller in range(CALLERS):
                callers.start_soon(call, store, f"{caller}{life}")
    finally:
        lock.release()


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), sys.argv[2])
