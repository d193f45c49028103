"""What the audit reckons by itself: nothing here knows of databases or the network."""
