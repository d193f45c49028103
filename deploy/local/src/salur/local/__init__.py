"""Salur as one process tree on one machine, without containers, and the command line `salur`."""
