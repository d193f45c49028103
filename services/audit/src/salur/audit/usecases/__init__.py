"""One module per thing the audit does."""
