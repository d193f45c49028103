"""Find records of the same person: one spelling, blocking keys, pairwise evidence. Pure. A person decides."""

from salur.registry.domain.matching.keys import MAX_BLOCK, MAX_KEYS, blocking_keys, pairs
from salur.registry.domain.matching.records import Evidence, Match, Record, Verdict
from salur.registry.domain.matching.score import Matcher, default_weights
from salur.registry.domain.matching.spelling import name_key, words

__all__ = [
    "MAX_BLOCK",
    "MAX_KEYS",
    "Evidence",
    "Match",
    "Matcher",
    "Record",
    "Verdict",
    "blocking_keys",
    "default_weights",
    "name_key",
    "pairs",
    "words",
]
