"""Models: building from a spec, learning and predicting, quality, snapshots.

The only package, with detectors/, that imports River.
"""
