"""Red flags: rules as data."""
