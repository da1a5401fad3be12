"""Move the write-ahead log into the database file beside the decisions, so that no decision waits for it.

Promises a log that stays short under steady load, and to touch nothing else. It runs in a thread of its own with a
connection of its own; SQLite lets go of Python's lock while it copies.
"""

import threading
from pathlib import Path

import apsw
import structlog

POLL_SECONDS = 0.1
FRAMES_UNMOVED = 1_024
"""So many frames (4 MiB) are moved in one go: the sync of the database file stalls that of the log beside it.

Measured at half load, p99 and calls a second at full load: 2,048 frames 38 ms and 1,900, 1,024 frames 26 ms and 1,820,
512 frames 24 ms and 1,790, 32,768 frames 120 ms.
"""
FRAMES_BEGIN_ANEW = 16_384
"""A log so long (64 MiB) is to begin anew; that stalls the writer for some milliseconds, so it is done seldom."""

log = structlog.get_logger("holdline.storage")


class Checkpointer:
    """Checkpoints one database file until stopped."""

    def __init__(self, path: Path, log_is_long: threading.Event) -> None:
        """Checkpoint a file; the event asks its writer to move the rest itself, so that the log can begin anew."""
        self._path = path
        self._log_is_long = log_is_long
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpointer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for a checkpoint that runs."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        connection = apsw.Connection(str(self._path), apsw.SQLITE_OPEN_READWRITE)
        connection.execute("PRAGMA synchronous = FULL")
        try:
            while not self._stopped.wait(POLL_SECONDS):
                try:
                    self._checkpoint(connection)
                except apsw.Error as error:
                    # The writer meets the same disk and answers for it; the log just grows meanwhile.
                    log.warning("checkpoint failed", kind=type(error).__name__)
        finally:
            connection.close()

    def _checkpoint(self, connection: apsw.Connection) -> None:
        """Move what is committed, if it is much; PASSIVE waits for nobody and blocks nobody.

        A log begins anew only once it is moved whole, which never happens while the writer adds to it. So when it is
        long the writer is asked to move the last frames itself, between two transactions.
        """
        frames, moved = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
        if frames - moved < FRAMES_UNMOVED:
            return
        frames, moved = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        if frames > FRAMES_BEGIN_ANEW:
            self._log_is_long.set()
