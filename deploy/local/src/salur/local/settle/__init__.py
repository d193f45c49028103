"""A cycle of many payments to its very end: every rupiah terminal, reconciled and signed, beside banks that fail."""
