"""Out of memory: a process whose allocation has failed ends at once; its supervisor starts a clean one.

After a failed allocation nothing in the process can be trusted: a driver's connection is half written, a background
task has ended unseen, and a fault of the process looks like a fault of the event it held. Whatever was committed is
safe, whatever was not is taken again.
"""

import os

EXIT_CODE = 71
"""How such a process ends (EX_OSERR of sysexits.h)."""

_LAST_WORDS = b'{"event":"out-of-memory","level":"critical","remedy":"give the process more memory; it starts again"}\n'


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether a failed allocation stands behind `error`: drivers wrap it in errors of their own."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, MemoryError):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def end_if_out_of_memory(error: BaseException | None) -> None:
    """End the process now, with the one line that could be written beforehand. Returns for any other error."""
    if is_out_of_memory(error):
        os.write(2, _LAST_WORDS)
        os._exit(EXIT_CODE)
