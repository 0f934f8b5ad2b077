"""Proof of what detectors/ promises."""
