"""Composes consumers, learners and detectors into the service and the command line."""
