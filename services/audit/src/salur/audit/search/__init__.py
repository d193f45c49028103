"""Search over the trail: a projection of the log with a lag of its own."""
