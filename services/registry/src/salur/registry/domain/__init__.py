"""Registry rules. Pure."""
