"""Eligibility's rows."""

from pathlib import Path

from salur.common.database import load_queries

queries = load_queries(Path(__file__).parent / "sql")

HOUSEHOLDS_CONSUMER = "eligibility.households"
