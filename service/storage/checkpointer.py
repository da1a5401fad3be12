"""Move the write-ahead log into the database file beside the decisions, so that no decision waits for it.

Promises a log that stays short under steady load, and to touch nothing else. It runs in a thread of its own with a
connection of its own; SQLite lets go of Python's lock while it copies.
"""

import threading
from pathlib import Path

import apsw
import structlog

POLL_SECONDS = 0.2
LOG_BYTES = 8 * 1024 * 1024
"""A log longer than this is moved into the file."""

PASSES_MAX = 4
FRAMES_LEFT = 128
"""So few frames the writer moves itself: about a millisecond."""

log = structlog.get_logger("holdline.storage")


class Checkpointer:
    """Checkpoints one database file until stopped."""

    def __init__(self, path: Path, log_is_nearly_moved: threading.Event) -> None:
        """Checkpoint a file; the event tells its writer that few frames are left, which the writer moves itself."""
        self._path = path
        self._log_is_nearly_moved = log_is_nearly_moved
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
        log_file = Path(f"{self._path}-wal")
        while not self._stopped.wait(POLL_SECONDS):
            if not log_file.exists() or log_file.stat().st_size < LOG_BYTES:
                continue
            try:
                self._checkpoint()
            except apsw.Error as error:
                # The writer meets the same disk and answers for it; the log just grows meanwhile.
                log.warning("checkpoint failed", kind=type(error).__name__)

    def _checkpoint(self) -> None:
        """Copy what is committed; PASSIVE waits for nobody and blocks nobody.

        A log is begun anew only once it is moved whole, which never happens while the writer adds to it. So the
        writer is told to move the rest between two transactions, and the log stays as long as it is.
        """
        connection = apsw.Connection(str(self._path), apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            for _ in range(PASSES_MAX):
                frames, moved = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                if frames - moved <= FRAMES_LEFT:
                    break
            self._log_is_nearly_moved.set()
        finally:
            connection.close()
