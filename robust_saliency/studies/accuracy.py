"""Clean accuracy on the test set."""

from typing import Any

import numpy as np
from jax import Array

from robust_saliency.data import Dataset
from robust_saliency.studies.batches import Evaluator, Networks, first_examples, predict


def accuracy(
  networks: Networks,
  dataset: Dataset,
  key: Array,
  *,
  examples: int | None = None,
  batch_size: int = 1000,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """Which test examples each network classifies correctly.

  Args:
    networks: name -> one trained network per seed.
    dataset: its test split is used.
    key: a PRNG key; nothing is random here.
    examples: how many test examples, from the first; None for all.
    batch_size: examples per call.

  Returns:
    arrays {"correct": bool [M, S, N]} and facts {"models", "split"}.
  """
  test = first_examples(dataset.test, examples)
  x = dataset.to_float(test.x)
  evaluate = Evaluator(predict, batch_size=batch_size)
  correct = [
    [evaluate(network, key, x, test.y) == test.y for network in networks[name]] for name in networks
  ]
  return {"correct": np.array(correct)}, {"models": list(networks), "split": "test"}
