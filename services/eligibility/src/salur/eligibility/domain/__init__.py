"""Rules of eligibility. Pure."""
