"""What can be wrong with a log. Each error says what and who must act."""


class LogError(Exception):
    """Base of all declared errors of the log's formats and checks."""


class MalformedNote(LogError):
    """A signed note, checkpoint, key or proof file breaks its format."""


class SignatureBroken(LogError):
    """No valid signature of the log's key."""


class LogBroken(LogError):
    """Files contradict each other. `index` is the first bad leaf where one can be named, else -1."""

    def __init__(self, message: str, index: int = -1) -> None:
        super().__init__(message)
        self.index = index


class ProofBroken(LogError):
    """An inclusion or consistency proof does not lead to the root."""


class MalformedPolicy(LogError):
    """A policy file breaks its format; the message names the line."""


class QuorumMissing(LogError):
    """A tree head that the log signed, but not enough witnesses."""
