"""The registry's settings."""

from salur.common.settings import Settings


class RegistrySettings(Settings):
    """`notices`: whether people are told what concerns them, by messages in the outbox.

    `matching_waits`: whether looking for duplicates leaves the CPU of a busy machine to other work.
    """

    notices: bool = False
    matching_waits: bool = True
