"""A partner bank built on Salur's public contract alone: it imports nothing of Salur."""
