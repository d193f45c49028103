"""The conformance kit for partner banks: plays payments against a bank's own consumer and says which rules it keeps."""
