"""Batch statistics: what a network with batch norm keeps of its robustness in training."""

from robust_saliency.studies.batch_statistics.study import BatchStatistics

__all__ = ["BatchStatistics"]
