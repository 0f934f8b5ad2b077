"""The documents tell the truth: what they show is run, what they name exists."""
