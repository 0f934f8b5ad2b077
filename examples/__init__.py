"""Configurations and code that a user starts from."""
