"""Exit codes that processes and commands share; cli/output.py has the others."""

from typing import Final

NOT_HERE: Final = 5
"""The store, the address or the machine does not let it start: another try would end as this one."""

STOPPED: Final = 130
"""Whoever ran it stopped it: Ctrl-C, a "no" to a question, or a question that nobody was there to answer."""

READER_GONE: Final = 141
"""Whoever read the output went away, as `head` does: the shells' number for SIGPIPE."""
