"""The registry's settings."""

from salur.common.settings import Settings


class RegistrySettings(Settings):
    """`notices`: whether people are told what concerns them, by messages in the outbox."""

    notices: bool = False
