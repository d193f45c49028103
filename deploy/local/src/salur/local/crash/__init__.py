"""Break the running platform on purpose, from a seed, and check that every promise holds."""
