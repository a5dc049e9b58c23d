"""One trained network read in other ways: with other parameters, or other batch statistics."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency import models
from robust_saliency.attacks import fgsm
from robust_saliency.core import Bounds
from robust_saliency.core.predictions import is_correct
from robust_saliency.objectives import forward_pass
from robust_saliency.objectives.passes import known_network

Variables = Mapping[str, Any]


class Reader:
  """Reads a network with given variables, on clean images and under FGSM with the true labels.

  Args:
    module: the network. Its dropout is off throughout.
    epsilon: FGSM's radius, in pixel units.
    bounds: (low, high) of the pixels.
    batch_size: images per call, the last ones padded.
  """

  def __init__(self, module: nn.Module, *, epsilon: float, bounds: Bounds, batch_size: int):
    # Batch norm's training mode without dropout's.
    if hasattr(module, "dropout_rate"):
      module = module.clone(dropout_rate=0.0)
    self._apply = models.apply_fn(module)
    self._attack = partial(fgsm, jax.random.key(0), epsilon=epsilon, bounds=bounds)
    self._batch_size = batch_size
    self._correct = jax.jit(self._of_batch, static_argnames=("crafting", "reading"))
    self._continue = jax.jit(self._of_training_batch, static_argnames="kind")

  def correct(
    self,
    variables: Variables,
    x: np.ndarray,
    y: np.ndarray,
    *,
    crafting: str = "evaluation",
    reading: str = "evaluation",
  ) -> np.ndarray:
    """Which images are classified correctly, clean and attacked.

    Args:
      variables: the network's.
      x: images [N, H, W, C].
      y: classes [N].
      crafting: whether FGSM sees batch norm in "evaluation" mode or, by the statistics of the
        clean batch, in "training" mode.
      reading: in which mode the images are read, a batch of clean or of attacked ones at a time.

    Returns:
      bool [2, N]: clean, attacked.
    """
    parts = [
      self._correct(variables, *batch, crafting=crafting, reading=reading)
      for batch in _batches(x, y, self._batch_size)
    ]
    return np.concatenate(parts, axis=1)[:, : len(x)]

  def with_statistics_of(
    self, variables: Variables, x: np.ndarray, y: np.ndarray, *, kind: str
  ) -> Variables:
    """The network with running statistics that further batches have updated, as training does.

    Args:
      variables: the network's; its parameters stay.
      x: training images [N, H, W, C].
      y: their classes.
      kind: "clean" images, "attacked" ones (by FGSM in training mode, led away from the predicted
        classes), or "both" in turn, which is what adversarial training shows it.
    """
    for batch in _batches(x, y, self._batch_size):
      variables = self._continue(variables, *batch, kind=kind)
    return variables

  def _pass(self, variables: Variables, x: Array, mask: Array, mode: str) -> Callable:
    return lambda x: self._apply(variables, x, train=mode == "training", mask=mask)[0]

  def _of_batch(
    self, variables: Variables, x: Array, y: Array, mask: Array, *, crafting: str, reading: str
  ) -> Array:
    once = forward_pass(self._pass(variables, x, mask, crafting), x, y, mask)
    x_adv = self._attack(known_network(once), x, y)
    read = self._pass(variables, x, mask, reading)
    return jnp.stack([is_correct(read(images), y) for images in (x, x_adv)])

  def _of_training_batch(
    self, variables: Variables, x: Array, y: Array, mask: Array, *, kind: str
  ) -> Variables:
    images = [x] if kind != "attacked" else []
    if kind != "clean":
      once = forward_pass(self._pass(variables, x, mask, "training"), x, y, mask)
      images.append(self._attack(known_network(once), x, jnp.argmax(once.logits, axis=-1)))
    for one in images:
      _, collections = self._apply(variables, one, train=True, mask=mask)
      variables = {**variables, **collections}
    return variables


def _batches(
  x: np.ndarray, y: np.ndarray, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
  """Images, classes and mask of each batch; the last one is filled up with its first image."""
  for start in range(0, len(x), batch_size):
    rows = np.arange(start, start + batch_size)
    mask = (rows < len(x)).astype(np.float32)
    rows = np.where(rows < len(x), rows, start)
    yield x[rows], y[rows], mask
