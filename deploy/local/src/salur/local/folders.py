"""What is said when a folder we were given cannot be used."""

from pathlib import Path


def unusable(path: Path, error: OSError, option: str) -> RuntimeError:
    """A sentence for the person who chose `path` by `option`."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return RuntimeError(f"{path} is a file, or lies below one: choose a folder by {option}")
    return RuntimeError(
        f"{path} cannot be written ({error.strerror}): make its folder and it writable for you, or choose another "
        f"by {option}"
    )
