"""Salur payments."""
