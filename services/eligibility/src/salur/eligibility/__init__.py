"""Salur eligibility."""
