"""From the configuration's `model:` to a River estimator: parsed, checked, built, seeded."""
