"""The service: composes consumers, learners and detectors into shards that never lose an event."""
