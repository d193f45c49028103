"""Secrets of an installation without a key service: files of random bytes in hex, readable by their owner only."""

import os
import secrets
from pathlib import Path


def secret_file(path: Path, size: int) -> str:
    """The secret in `path`, `size` bytes in hex; made on the first call, mode 0600. Never overwritten."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Complete before it has its name: a crash in between leaves no half secret that a later start would use.
        partial = path.with_name(f"{path.name}.partial")
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600, exist_ok=False)
        with partial.open("w", encoding="ascii") as file:
            file.write(secrets.token_hex(size))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    return path.read_text(encoding="ascii").strip()
