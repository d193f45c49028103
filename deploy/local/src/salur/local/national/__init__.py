"""A nation in one run: a population, ten programmes, one cycle, and what people ask of them."""
