import jax
import linear
import numpy as np
import pytest

from robust_saliency.studies.accuracy import Accuracy
from robust_saliency.studies.study import run_study

KEY = jax.random.key(0)


def test_accuracy_is_the_sign_of_the_margin(networks, dataset, tmp_path):
  result = run_study(
    "clean", Accuracy(batch_size=16), networks, dataset, key=KEY, seeds=(0, 2), directory=tmp_path
  )
  x, y = dataset.test.x, dataset.test.y
  for name, of_seeds in networks.items():
    for s, network in enumerate(of_seeds):
      right = linear.margins(x, y, network.seed) > 0
      assert np.array_equal(result.at("correct", model=name)[s], right)


def test_more_examples_than_there_are_are_refused(dataset):
  with pytest.raises(ValueError, match="examples must be between 1 and 37, got 38"):
    Accuracy(examples=38).check({}, dataset)
