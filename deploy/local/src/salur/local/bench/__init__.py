"""The benchmark: generated families take the whole way; every figure stands beside the machine's own limit."""
