"""One module per command or event."""
