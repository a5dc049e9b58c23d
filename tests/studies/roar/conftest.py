"""A data set whose truth is planted, and which retrainings were asked for."""

import numpy as np
import pytest

from robust_saliency.data import Dataset
from robust_saliency.studies.roar import retraining
from tests.studies.roar.planted import planted


@pytest.fixture(scope="module")
def dataset():
  return Dataset("planted", planted(600, 0), None, planted(400, 1), ("below", "above"))


@pytest.fixture
def asked(monkeypatch):
  """The jobs that are asked for. None is trained: an accuracy is a number that its images give."""
  jobs = []

  def accuracies(self, of):
    del self
    jobs.extend(of)
    images = [np.concatenate([one.ravel() for one in job.images()]) for job in of]
    return [float(np.sin(np.arange(len(one)) * one).mean()) for one in images]

  monkeypatch.setattr(retraining.Retraining, "accuracies", accuracies)
  return jobs
