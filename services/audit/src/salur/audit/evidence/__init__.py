"""Evidence bundles: what an auditor takes away and checks alone."""
