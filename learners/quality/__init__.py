"""The quality of a learner: metrics by event time, naive baselines beside them."""

from learners.quality.quality import Quality, new_quality

__all__ = ["Quality", "new_quality"]
