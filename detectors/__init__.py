"""Watches numbers for drift and turns what it finds, with the evidence, into alerts."""
