"""Linearised robustness: the margin over the gradient's dual norm, beside the nearest attack."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attacks.minimal_norm import DUALS, distances, fools
from robust_saliency.core import LogitsFn, checks
from robust_saliency.core.settings import Count
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import Evaluator, Networks, first_examples, key_for
from robust_saliency.studies.linear_robustness import page
from robust_saliency.studies.methods import attack_on
from robust_saliency.studies.study import Measured, Study


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearRobustness(Study):
  """How far away the boundary is, by a linear model and by an attack that looks for it.

  Were a network linear around an image, the nearest image of class j would lie at the margin over
  the dual norm of the margin's gradient:

      min_{j != y}  (f_y(x) - f_j(x)) / ||d (f_y - f_j)(x) / dx||_q,     1/p + 1/q = 1

  Small gradients and large margins make networks robust as far as that is so. The ratio of the
  attack's distance to it says how far: 1 where the network is linear so far out, less where it is
  more vulnerable than its gradient shows.

  Attributes:
    attack: the config, without its norm, of an attack that looks for the nearest adversarial image,
      FMN say.
    norm: "linf", "l2" or "l1", in which distances are meant.
    examples: how many test examples, from the first; None for all.
    batch_size: examples per call.

  Arrays:
    margin: f_y(x) - max_{j != y} f_j(x), float32 [model, seed, example].
    linear: the number above, 0 where the image is misclassified, likewise.
    distance: how far the attack's image lies, likewise; infinity where it found none.
    ratio: distance / linear, likewise; NaN where the image is misclassified, or none was found.
    rank_correlation: Spearman's of `linear` and `distance` over the images of which there is a
      ratio, float64 [model, seed].

  Source: Hein & Andriushchenko 2017, theorem 2.1, has the bound of which this is the first order;
  Etmann et al. 2019, definition 3, "linearised robustness".
  """

  kind: ClassVar[str] = "linear_robustness"

  attack: Mapping[str, Any]
  norm: Literal["linf", "l2", "l1"] = "l2"
  examples: Count | None = None
  batch_size: Count = 100

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    of_examples = ("margin", "linear", "distance", "ratio")
    return Layout(
      {
        **dict.fromkeys(of_examples, ("model", "seed", "example")),
        "rank_correlation": ("model", "seed"),
      },
      {"model": networks, "seed": seeds},
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    return {"attack": self._attack(dataset)}

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    first_examples(dataset.test, self.examples)
    super().check(modules, dataset)

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    test = first_examples(dataset.test, self.examples)
    x = dataset.to_float(test.x)
    attack = self._attack(dataset)

    def describe(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> dict[str, Array]:
      x_adv = attack(keys, logits_fn, x, y)
      margin, linear = linearised(logits_fn, x, y, norm=self.norm)
      distance = distances(self.norm, x, x_adv, fools(logits_fn(x_adv), y))
      return {"margin": margin, "linear": linear, "distance": distance}

    evaluate = Evaluator(describe, batch_size=self.batch_size)
    attack_key = key_for(key, self.kind)
    measured = [
      [evaluate(network, attack_key, x, test.y) for network in of_seeds]
      for of_seeds in networks.values()
    ]
    arrays = {
      name: np.array([[one[name] for one in of_seeds] for of_seeds in measured])
      for name in ("margin", "linear", "distance")
    }
    label = self.attack.get("label", self.attack["name"])
    return {**arrays, **compared(arrays)}, {"norm": self.norm, "attack": label}

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result, styles)

  def _attack(self, dataset: Dataset) -> Callable[..., Array]:
    with checks.naming("attack"):
      return attack_on(dataset, {**self.attack, "norm": self.norm})


def linearised(logits_fn: LogitsFn, x: Array, y: Array, *, norm: str) -> tuple[Array, Array]:
  """The margin, and the distance of the boundary if the network were linear.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C].
    y: classes, int [B].
    norm: in which the distance is meant.

  Returns:
    Both [B]; the distance is 0 for misclassified images.

  >>> linear = lambda x: x[:, 0, 0] @ jnp.array([[3.0, 0.0], [4.0, 0.0]])
  >>> margin, distance = linearised(linear, jnp.full((1, 1, 1, 2), 0.5), jnp.array([0]), norm="l2")
  >>> margin.tolist(), distance.tolist()
  ([3.5], [0.699999988079071])
  """
  logits, pullback = jax.vjp(logits_fn, x)
  classes = jnp.arange(logits.shape[-1])

  def of_class(j: Array) -> Array:
    # d (f_y - f_j) / dx of each image, whatever its y.
    cotangent = jax.nn.one_hot(y, len(classes), dtype=logits.dtype) - jax.nn.one_hot(
      jnp.full_like(y, j), len(classes), dtype=logits.dtype
    )
    return jax.vmap(DUALS[norm].length)(pullback(cotangent)[0])

  slopes = jax.vmap(of_class, out_axes=1)(classes)
  own = jnp.take_along_axis(logits, y[:, None], axis=1)
  is_own = classes == y[:, None]
  gaps = jnp.where(is_own, jnp.inf, own - logits)
  margin = gaps.min(axis=1)
  steep = jnp.where(slopes > 0, slopes, 1.0)
  # No direction leads to a class whose gap does not change.
  lengths = jnp.where(is_own | (slopes == 0), jnp.inf, gaps / steep)
  return margin, jnp.where(margin > 0, lengths.min(axis=1), 0.0)


def compared(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """`ratio` and `rank_correlation` of `LinearRobustness`."""
  import scipy.stats  # takes a fifth of a command's start, and few experiments rank anything

  linear, distance = (np.asarray(arrays[name], np.float64) for name in ("linear", "distance"))
  counts = (linear > 0) & np.isfinite(linear) & np.isfinite(distance)
  ratio = np.where(counts, distance, np.nan) / np.where(counts, linear, 1.0)
  correlation = np.full(linear.shape[:-1], np.nan)
  for place in np.ndindex(*correlation.shape):
    of = counts[place]
    if len(np.unique(linear[place][of])) > 1 and len(np.unique(distance[place][of])) > 1:
      found = scipy.stats.spearmanr(linear[place][of], distance[place][of])
      correlation[place] = found.statistic
  return {"ratio": ratio.astype(np.float32), "rank_correlation": correlation}
