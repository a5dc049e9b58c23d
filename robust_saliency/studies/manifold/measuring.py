"""How far one network's adversarial images lie from the manifolds, and its gradients; resumable."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax import Array

from robust_saliency.core import Attack, LogitsFn, files, losses, records
from robust_saliency.data import Dataset, Split
from robust_saliency.studies.batches import Evaluator, key_for, predict
from robust_saliency.studies.manifold.autoencoder import Autoencoder
from robust_saliency.studies.manifold.planes import principal_plane, share_inside
from robust_saliency.training import TrainedNetwork


class Measuring:
  """The manifolds of a data set, and what is measured of one network after the other.

  Args:
    autoencoder: the trained VAE-GAN.
    dataset: whose training images the plane is fitted to.
    test: the images that are attacked.
    attack: `(key, logits_fn, x, y) -> x_adv`.
    components: of the plane.
    tangents: of how many images, from the first, the gradient is split.
    pictures: the places of images that are shown.
    batch_size: images per call.
    key: of all random numbers.
    directory: what is finished is kept there.

  Attributes:
    natural: the distances of the test images themselves, float64 [3, N].
    shown: the places of images that are shown.
    shares_by_chance: what a random gradient has inside each tangent space.
  """

  def __init__(
    self,
    autoencoder: TrainedNetwork,
    dataset: Dataset,
    test: Split,
    *,
    attack: Attack,
    components: int,
    tangents: int,
    pictures: np.ndarray,
    batch_size: int,
    key: Array,
    directory: Path,
  ):
    self._x, self._y = dataset.to_float(test.x), test.y
    self._key, self._directory, self.shown = key, directory, pictures
    self._autoencoder = Autoencoder(autoencoder, batch_size=batch_size)
    self._plane = principal_plane(dataset.to_float(dataset.train.x), components)
    self._split = self._x[:tangents]
    self._bases = self._autoencoder.tangents(self._split)
    self._attack = Evaluator(attack, batch_size=batch_size)
    self._predict = Evaluator(predict, batch_size=batch_size)
    self._gradient = Evaluator(_gradient_of_log_probability, batch_size=batch_size)
    self.natural = self._distances(self._x, "natural")
    pixels = self._x[0].size
    self.shares_by_chance = [self._bases.shape[1] / pixels, components / pixels]

  def of_network(self, name: str, network: TrainedNetwork) -> dict[str, np.ndarray]:
    """What is measured of a network, computed once.

    Args:
      name: of its file.
      network: the network.

    Returns:
      distance float64 [3, N]; fooled bool [N]; inside float64 [2, T]; gradients of the images that
      are shown, float16 [P, H, W, C], each divided by its largest size; predictions int [P].
    """
    path = self._directory / f"{name}.npz"
    if (kept := _read(path)) is not None:
      return kept
    adversarial = self._attack(network, key_for(self._key, "attack"), self._x, self._y)
    before, after = (
      self._predict(network, self._key, images, self._y) for images in (self._x, adversarial)
    )
    split = self._gradient(network, self._key, self._split, self._y[: len(self._split)])
    flat = split.reshape(len(split), -1)
    shown = self._gradient(network, self._key, self._x[self.shown], self._y[self.shown])
    largest = np.abs(shown).max(axis=(1, 2, 3), keepdims=True)
    found = {
      "distance": self._distances(adversarial, "adversarial"),
      "fooled": (before == self._y) & (after != self._y),
      "inside": np.stack(
        [share_inside(flat, basis) for basis in (self._bases, self._plane.directions)]
      ),
      "gradients": (shown / np.where(largest > 0, largest, 1)).astype(np.float16),
      "predictions": before[self.shown],
    }
    files.write_with_digest(path, files.npz(found))
    return found

  def pictures(self, samples: int) -> dict[str, np.ndarray]:
    """The images that are shown, what the VAE-GAN makes of them, and samples of its own."""
    images = self._x[self.shown]
    _, again = self._autoencoder.project(images, self._key)
    made = self._autoencoder.samples(samples, key_for(self._key, "samples"))
    return {"images": images, "reconstructions": again, "samples": made}

  def _distances(self, images: np.ndarray, purpose: str) -> np.ndarray:
    """By a sampled code, by the mean code, and from the plane."""
    by_code = [
      np.linalg.norm((images - again).reshape(len(images), -1).astype(np.float64), axis=1)
      for again in self._autoencoder.project(images, key_for(self._key, purpose))
    ]
    return np.stack([*by_code, self._plane.distance(images)])


def _gradient_of_log_probability(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
  """The gradient of the log-probability of the predicted class, which moves the loss downwards."""
  del keys, y
  predicted = jnp.argmax(logits_fn(x), axis=-1)
  return jax.grad(lambda images: -jnp.sum(losses.cross_entropy(logits_fn(images), predicted)))(x)


def _read(path: Path) -> dict[str, Any] | None:
  """What was measured, None where there is no whole file."""
  if not path.exists():
    return None
  try:
    return records.arrays_in(files.read_verified(path), path)
  except files.DamagedFileError as error:
    logging.warning("A network is measured again: %s", error)
    return None
