"""The three logs behind the one protocol: memory, SQLite, Kafka."""
