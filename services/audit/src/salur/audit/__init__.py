"""Salur audit."""
