"""Proof of what driftline promises; the folders mirror the packages."""
