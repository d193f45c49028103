"""How payments speaks with partner banks beside Kafka: ISO 20022 documents and the folders they travel through."""
