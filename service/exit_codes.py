"""Exit codes that processes and commands share; cli/output.py has the others."""

from typing import Final

NOT_HERE: Final = 5
"""The store, the address or the machine does not let it start: another try would end as this one."""
