"""What tests share: the real pair, records, waiting on conditions."""
