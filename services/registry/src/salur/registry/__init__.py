"""Salur registry: who people are."""
