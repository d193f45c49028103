"""The Merkle log as files: pure."""
