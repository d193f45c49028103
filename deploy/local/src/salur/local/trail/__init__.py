"""The audit log put to the test: speed, proofs, third-party tools, tampering, crashes."""
