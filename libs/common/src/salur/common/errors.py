"""The errors a caller may see. Each says what is wrong and who must act; none holds a personal value."""


class SalurError(Exception):
    """Base of all declared errors. `status` is the HTTP status it becomes (RFC 9457)."""

    status = 500

    def __init__(
        self,
        message: str,
        *,
        code: str = "internal",
        who: str = "operations",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.who = who
        self.retry_after_s = retry_after_s


class Invalid(SalurError):
    """The request cannot be understood or breaks a rule of form."""

    status = 422


class Unauthenticated(SalurError):
    """No valid token."""

    status = 401


class Forbidden(SalurError):
    """The caller's roles or region do not allow it."""

    status = 403


class NotFound(SalurError):
    """Nothing of that id (or nothing the caller may see)."""

    status = 404


class Conflict(SalurError):
    """The state does not allow it now, or the same id came with other content."""

    status = 409


class TooLarge(SalurError):
    """More than the stated limit."""

    status = 413


class Unavailable(SalurError):
    """A part we need does not answer; nothing was half done."""

    status = 503


class Refused(Exception):
    """A handler cannot take this event: it becomes a dead letter with this reason (no personal value in it)."""
