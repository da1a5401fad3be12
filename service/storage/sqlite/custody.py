"""What a store's writer vouches for: that the file is its own, holds every commit that was made, and nothing else.

Promises that a store is opened only where the file, its log and its mark agree on what was committed; that each commit
seals its tables and bears its number; and that a file or log which was taken away is noticed before anything is
acknowledged. Decision 22 tells why it is done so.
"""

import contextlib
import errno
from collections.abc import Callable
from pathlib import Path

import apsw

from service.domain.errors import StoreUnavailable
from service.storage.sqlite import commit_number
from service.storage.sqlite.commit_number import SERVING, Mark
from service.storage.sqlite.database_file import OWNER_ONLY, DatabaseFile
from service.storage.sqlite.migrate import StoreDamaged, StoreRefused, migrate, refuse_foreign, refuse_newer
from service.storage.sqlite.seals import Seals
from service.storage.sqlite.sql import Execute, ExecuteMany

COPIED_PAGES = 1_024
"""Pages that a copy takes at a time; writers wait for no more than that."""
NEVER_THERE = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.ENAMETOOLONG)
)
"""What another try to open a file ends with, too."""
DAMAGE = (apsw.CorruptError, apsw.NotADBError)


class Custody:
    """One store's file from its opening to its close."""

    def __init__(self, path: Path, *, is_writer: bool) -> None:
        """Take a file into custody; raises StoreRefused or StoreUnavailable."""
        self._is_writer = is_writer
        self.seals = Seals()
        self._number = 0
        self._is_lost = False
        self._mark: Mark | None = None
        try:
            self._file = DatabaseFile(path, is_writer=is_writer)
        except OSError as error:
            raise _not_opened(path, error) from error
        self.path = self._file.path

    def opened(self, connect: Callable[[], apsw.Connection]) -> apsw.Connection:
        """Open the store, bring it up to date and begin to write; what is refused is closed as it was found.

        Raises StoreRefused, StoreDamaged or StoreUnavailable.
        """
        try:
            return self._opened(connect)
        except StoreRefused:
            self._file.close()
            raise
        except (apsw.Error, OSError) as error:
            self._file.close()
            if isinstance(error, DAMAGE):
                raise damaged(self.path, error) from error
            raise _not_opened(self.path, error) from error

    def _opened(self, connect: Callable[[], apsw.Connection]) -> apsw.Connection:
        is_alone = self._is_writer or self._file.hold_writers_off()
        try:
            found = commit_number.traces(self._file.descriptor, self.path)
            commit_number.refuse_unreached(found, self._file.names, self.path)
            connection = connect()
            try:
                self._number = commit_number.number_of(connection.pragma("application_id"))
                commit_number.refuse_lost(found, self._number, self.path, is_alone=is_alone)
                if self._is_writer:
                    refuse_foreign(connection, self.path)
                    migrate(connection)
                    self._take_up(connection, is_new_life=not found.was_serving)
                refuse_newer(connection)
            except BaseException:
                connection.close(force=True)
                raise
        finally:
            if is_alone and not self._is_writer:
                self._file.let_writers_in()
        return connection

    def _take_up(self, connection: apsw.Connection, *, is_new_life: bool) -> None:
        """Begin to write: the file says from now on that its log belongs to it."""
        refuse_newer(connection)
        self.seals.attend(connection)
        if is_new_life:
            # Into the file itself, before and after: a log of this life fits nothing that lacks its first number, and
            # a file whose log is missing is known for what it is.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._number = commit_number.begun_after(self._number)
            connection.execute(_numbered(self._number | SERVING))
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._mark = Mark(self.path)
        self._mark.reach(self._number)
        self._file.note_log()

    def attend(self, connection: apsw.Connection) -> None:
        """Go on with a connection that was made anew."""
        self.refuse_taken_away()
        self._number = commit_number.number_of(connection.pragma("application_id"))
        self.seals.attend(connection)

    def seal(self, run: Execute, run_many: ExecuteMany) -> bool:
        """Seal a transaction before its commit and number it; gives whether it has written anything."""
        if not self.seals.write(run_many):
            return False
        # The number is taken once the commit is made: one that failed leaves no gap in the log.
        run(_numbered(commit_number.next_after(self._number) | SERVING), ())
        return True

    def committed(self) -> None:
        """Remember that the sealed transaction is durable; raises StoreUnavailable where nobody will find it again."""
        self.seals.committed()
        self._number = commit_number.next_after(self._number)
        if self._mark is not None:
            self._mark.reach(self._number)
        self.refuse_taken_away()

    def forget(self) -> None:
        """Drop what a transaction that was rolled back would have sealed."""
        self.seals.forget()

    def refuse_taken_away(self) -> None:
        """Raise StoreUnavailable where the file or its log is gone."""
        if not self.is_in_place():
            raise StoreUnavailable(kind="TakenAway")

    def is_in_place(self) -> bool:
        """Claim that the file and its log stand where they were opened, and have ever since."""
        self._is_lost = self._is_lost or not self._file.is_in_place()
        return not self._is_lost

    def rescue(self, connection: apsw.Connection) -> str:
        """Save what was acknowledged from a file or a log that was taken away; says where it is, for a person."""
        try:
            self._number = commit_number.next_after(self._number)
            connection.execute(_numbered(self._number))
            _, frames, moved = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0]
            if self._file.names and moved == frames:
                if self._mark is not None:
                    self._mark.reach(self._number)
                return f"all that was acknowledged is in the file itself, wherever {self.path.name} lies now"
            saved = self.path.with_name(f"{self.path.name}.saved-{self._number}")
            copy(connection, saved)
        except (apsw.Error, OSError) as error:
            return f"nothing could be saved: {error}"
        return f"all that was acknowledged is saved as {saved.name}"

    def end(self, connection: apsw.Connection) -> None:
        """Say in the file that it is whole without its log; a file that can't be told so is as after a kill."""
        if not self._is_writer or not self.is_in_place():
            return
        with contextlib.suppress(apsw.Error):
            connection.set_busy_timeout(0)
            self._number = commit_number.next_after(self._number)
            connection.execute(_numbered(self._number))
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            if self._mark is not None:
                self._mark.reach(self._number)

    def close(self) -> None:
        """Give up the lock, after SQLite has closed its own descriptors."""
        if self._mark is not None:
            self._mark.close()
        self._file.close()


def copy(connection: apsw.Connection, path: Path) -> None:
    """Write a copy of a store as it is now into a file, by SQLite's online backup; whole without a log.

    Raises apsw.Error.
    """
    path.touch(OWNER_ONLY)
    target = apsw.Connection(str(path))
    try:
        with target.backup("main", connection, "main") as backup:
            while not backup.done:
                backup.step(COPIED_PAGES)
        target.execute(_numbered(commit_number.number_of(target.pragma("application_id"))))
    finally:
        target.close()


def _not_opened(path: Path, error: apsw.Error | OSError) -> StoreRefused | StoreUnavailable:
    """Give the error for a file that was not opened: whether another try may end better."""
    if isinstance(error, OSError) and error.errno in NEVER_THERE:
        return StoreRefused(f"{path} can't be opened: {error.strerror}")
    return StoreUnavailable(f"{path} can't be opened: {error}")


def damaged(path: Path, error: apsw.Error) -> StoreDamaged:
    """Give what is said of a file that SQLite can't read."""
    return StoreDamaged(f"{path.name} is damaged: {error}. Restore a backup (service/README.md)")


def _numbered(application_id: int) -> str:
    """Write the statement that sets the application id, which SQLite takes as a signed number."""
    return f"PRAGMA application_id = {application_id - (1 << 32) if application_id & SERVING else application_id}"
