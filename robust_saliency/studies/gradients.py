"""How long input gradients are, and how certain the networks: what masking and penalties leave."""

from typing import Any

import jax
import numpy as np
from jax import Array

from robust_saliency.attributions import gradient
from robust_saliency.core import LogitsFn, get_norm
from robust_saliency.data import Dataset
from robust_saliency.studies.batches import Evaluator, Networks, first_examples


def gradients(
  networks: Networks,
  dataset: Dataset,
  key: Array,
  *,
  examples: int | None = None,
  batch_size: int = 250,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """The length of each test image's loss gradient, for its class and the next, and its log f(x).

  Gradients of each example's own cross-entropy in float32, in evaluation mode. One that underflows
  altogether has length 0: single-step attacks do not move there.

  Args:
    networks: name -> one trained network per seed.
    dataset: its test split is used.
    key: a PRNG key; nothing is random here.
    examples: how many test examples, from the first; None for all.
    batch_size: examples per call.

  Returns:
    arrays {"lengths": ||d H(label, f(x)) / dx||_2 for the labels y and (y + 1) mod K, float
    [2, M, S, N], "log_probabilities": [M, S, N, K], "labels": [N]} and facts {"models", "targets",
    "classes"}.

  Source: Ross & Doshi-Velez 2018, figure 4; the paper's lengths are those of a mean over 1,000
  examples, 1/1000 of these.
  """
  test = first_examples(dataset.test, examples)
  x, classes = dataset.to_float(test.x), len(dataset.classes)
  length = jax.vmap(get_norm("l2").length)

  def measure(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> tuple[Array, ...]:
    slopes = (
      gradient(keys, logits_fn, x, label, score="cross_entropy") for label in (y, (y + 1) % classes)
    )
    return *map(length, slopes), jax.nn.log_softmax(logits_fn(x))

  evaluate = Evaluator(measure, batch_size=batch_size)
  measured = [
    [evaluate(network, key, x, test.y) for network in of_seeds] for of_seeds in networks.values()
  ]
  lengths = [[[one[target] for one in of_seeds] for of_seeds in measured] for target in range(2)]
  arrays = {
    "lengths": np.array(lengths),
    "log_probabilities": np.array([[one[2] for one in of_seeds] for of_seeds in measured]),
    "labels": test.y,
  }
  facts = {"models": list(networks), "targets": ["y", "y + 1"], "classes": list(dataset.classes)}
  return arrays, facts
