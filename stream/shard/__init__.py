"""One shard: its state, its steps, its journal, its snapshots and its recovery."""
