"""Boundary: networks of two classes of points in the plane, and where attacks on them lead."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import flax.linen as nn
import numpy as np
from jax import Array

from robust_saliency.core import LogitsFn, checks
from robust_saliency.core.settings import Count, Positive, Range
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import Evaluator, Networks, key_for
from robust_saliency.studies.boundary import page
from robust_saliency.studies.boundary.tilt import crossings, tilt
from robust_saliency.studies.methods import attack_on, describe_attack
from robust_saliency.studies.study import Measured, Study

PLANE = (1, 2, 1)
# How far the drawn plane exceeds the pixel bounds, as a share of their width.
BEYOND = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class Boundary(Study):
  """How far a network's boundary tilts away from what tells its two classes apart.

  The data are points (a, b), "images" of shape [1, 2, 1], whose classes differ in a and vary little
  in b. Many boundaries separate them; one that tilts towards b lies near the points, and an attack
  leads across it, off the strips on which the points lie.

  Attributes:
    attack: an attack's config, its epsilon and norm among its settings.
    attacked: the class whose points are attacked, 0 or 1.
    span: the boundary's line is fitted to where b lies between -span and span.
    resolution: points of the plane's grid along each axis.
    batch_size: points per call.

  Arrays:
    tilt: float64 [model, seed], the angle between the boundary's normal and the axis of a, in
      degrees.
    arrow: float64 [model, seed, coordinate], from the mean of the attacked class's points to that
      of their adversarial ones.
    miss: float64 [model, seed], the distance from that mean to the mean of the other class.
    margin: float16 [model, row, column], of class 1 over class 0 on the grid, of the first seed.
    adversarial: float32 [model, example, coordinate], of the first seed.

  Source: Kim, Seo & Jeon 2019, section 2.2, after Tanay & Griffin 2016, "A boundary tilting
  perspective on the phenomenon of adversarial examples".
  """

  kind: ClassVar[str] = "boundary"

  attack: Mapping[str, Any]
  attacked: Annotated[int, Range(0, 1)] = 0
  span: Positive = 0.5
  resolution: Annotated[int, Range(11, 2001)] = 221
  batch_size: Count = 6000

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    return Layout(
      {
        **dict.fromkeys(("tilt", "miss"), ("model", "seed")),
        "arrow": ("model", "seed", "coordinate"),
        "margin": ("model", "row", "column"),
        "adversarial": ("model", "example", "coordinate"),
      },
      {"model": networks, "seed": seeds, "coordinate": ("a", "b")},
      units={"adversarial": "points"},
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    with checks.naming("attack"):
      return {"attack": attack_on(dataset, self.attack)}

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    if dataset.image_shape != PLANE or len(dataset.classes) != 2:
      raise ValueError(
        f"a boundary needs a data set of two classes of points, of shape {PLANE}; {dataset.name} "
        f"has {len(dataset.classes)} classes of shape {dataset.image_shape}"
      )
    super().check(modules, dataset)

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    x, y = dataset.to_float(dataset.test.x), dataset.test.y
    theirs = x[y == self.attacked]
    means = [x[y == label].mean(axis=0).ravel() for label in (0, 1)]
    read = Evaluator(_margin, batch_size=self.batch_size)
    attack = Evaluator(attack_on(dataset, self.attack), batch_size=self.batch_size)
    axis = self._axis(dataset)
    fitted = axis[np.abs(axis) <= self.span]
    shape = (len(networks), len(next(iter(networks.values()))))
    arrays: dict[str, Any] = {"tilt": np.empty(shape), "miss": np.empty(shape)}
    arrays |= {"arrow": np.empty((*shape, 2)), "margin": [], "adversarial": []}

    def on_grid(network: Any, rows: np.ndarray) -> np.ndarray:
      points = np.stack(np.meshgrid(axis, rows), axis=-1).reshape(-1, *PLANE).astype(np.float32)
      labels = np.zeros(len(points), np.int32)
      return read(network, key, points, labels).reshape(len(rows), len(axis))

    for m, of_seeds in enumerate(networks.values()):
      for s, network in enumerate(of_seeds):
        labels = np.full(len(theirs), self.attacked, np.int32)
        moved = attack(network, key_for(key, self.kind), theirs, labels).reshape(-1, 2)
        arrays["tilt"][m, s] = tilt(crossings(on_grid(network, fitted), axis, fitted))
        arrays["arrow"][m, s] = moved.mean(axis=0) - means[self.attacked]
        arrays["miss"][m, s] = np.linalg.norm(moved.mean(axis=0) - means[1 - self.attacked])
        if s == 0:
          arrays["margin"].append(np.clip(on_grid(network, axis), -6e4, 6e4))
          arrays["adversarial"].append(moved)
    arrays["margin"] = np.array(arrays["margin"], np.float16)
    arrays["adversarial"] = np.array(arrays["adversarial"], np.float32)
    return {**arrays, "points": x.reshape(-1, 2), "labels": y}, {
      "attack": describe_attack(self.kind, self.attack),
      "epsilon": self.attack.get("epsilon"),
      "ends": [float(axis[0]), float(axis[-1])],
      "attacked": self.attacked,
    }

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result)

  def _axis(self, dataset: Dataset) -> np.ndarray:
    low, high = dataset.bounds
    beyond = BEYOND * (high - low)
    return np.linspace(low - beyond, high + beyond, self.resolution)


def _margin(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
  del keys, y
  logits = logits_fn(x)
  return logits[:, 1] - logits[:, 0]
