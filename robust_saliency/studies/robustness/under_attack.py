"""Which images a network still classifies correctly under an attack, at several radii."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax import Array

from robust_saliency import models
from robust_saliency.core import progress
from robust_saliency.core.keys import as_threefry
from robust_saliency.core.predictions import is_correct
from robust_saliency.core.programs import RowPrograms, Shared, pack
from robust_saliency.studies.batches import Evaluator, predict
from robust_saliency.training import TrainedNetwork


class UnderAttack:
  """An attack at several radii, compiled once for each architecture and mapped over devices.

  Nothing is attacked that would not change the answer: at radius 0 the image itself is judged, and
  what one restart has fooled at a radius, the next ones leave alone.

  Args:
    attack: `(key, logits_fn, x, y, epsilon=) -> x_adv`, one restart of it.
    epsilons: the radii, each attacked with the same keys.
    restarts: how often the attack is run, each time with other random numbers.
    batch_size: images per call, over all devices, each at all radii at once.
  """

  def __init__(
    self,
    attack: Callable[..., Array],
    *,
    epsilons: Sequence[float],
    restarts: int = 1,
    batch_size: int,
  ):
    self._attack, self._epsilons, self._restarts = attack, epsilons, restarts
    self._rows = batch_size * len(epsilons)
    self._predicted = Evaluator(predict, batch_size=batch_size)
    self._compiled: dict[nn.Module, RowPrograms] = {}

  def __call__(
    self, network: TrainedNetwork, key: Array, x: np.ndarray, y: np.ndarray
  ) -> np.ndarray:
    """Attacks a network.

    Args:
      network: the one to attack.
      key: one PRNG key; image i gets `fold_in(key, i)`.
      x: float images [N, ...].
      y: classes [N].

    Returns:
      Whether each image is classified correctly at each radius, bool [epsilon, N].
    """
    attacked = self._attacked_by(network.module)
    radii = np.asarray(self._epsilons, x.dtype)
    correct = np.ones((len(radii), len(x)), bool)
    if not radii.all():
      correct[radii == 0] = self._predicted(network, key, x, y) == y
    for restart in range(self._restarts):
      own = key if restart == 0 else jax.random.fold_in(as_threefry(key), restart)
      shared, start = Shared((network.variables, own)), 0
      pairs = np.argwhere(correct & (radii[:, None] > 0))
      for count, rows in pack(len(pairs), self._rows):
        e, i = pairs[start : start + count].T
        correct[e, i] = attacked(shared, i, x[i], y[i], radii[e], rows=rows)
        progress.count(count)
        start += count
    return correct

  def _attacked_by(self, module: nn.Module) -> RowPrograms:
    """((variables, key), numbers, images, classes, radii) -> whether each is still correct."""
    if module not in self._compiled:

      def of_rows(shared: tuple[Mapping[str, Any], Array], *rows: Array) -> Array:
        variables, key = shared
        logits_fn = models.logits_fn(module, variables)

        def of_one(number: Array, x: Array, y: Array, epsilon: Array) -> Array:
          keys = jax.random.fold_in(as_threefry(key), number)[None]
          x_adv = self._attack(keys, logits_fn, x[None], y[None], epsilon=epsilon)
          return is_correct(logits_fn(x_adv), y[None])[0]

        return jax.vmap(of_one)(*rows)

      self._compiled[module] = RowPrograms(of_rows)
    return self._compiled[module]
