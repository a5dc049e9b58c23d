"""What a network is like while it learns: its accuracies and input gradients on held-out images."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.experimental import multihost_utils

from robust_saliency.attacks import fgsm
from robust_saliency.core import ApplyFn, LogitsFn, checks
from robust_saliency.core.predictions import is_correct
from robust_saliency.core.programs import over_examples
from robust_saliency.data import Dataset, Split
from robust_saliency.objectives import forward_pass
from robust_saliency.objectives.input_gradient import penalty_on, uniform
from robust_saliency.objectives.passes import known_network
from robust_saliency.training.trained_network import TrainedNetwork

ACCURACY = "probe_accuracy"
FGSM_ACCURACY = "probe_fgsm_accuracy"
WHITE_BOX_ACCURACY = "probe_white_box_accuracy"
TRUE_LABEL_GRADIENT = "probe_gradient"
UNIFORM_LABEL_GRADIENT = "probe_gradient_uniform"

FIELDS = ("every", "examples", "source", "epsilon", "white_box")
EVERY, EXAMPLES, EPSILON = 100, 512, 0.2

# Examples per call, over all local devices.
_BATCH = 1000

# (variables, FGSM's images or None) -> metrics by name.
Measure = Callable[[Mapping[str, Any], np.ndarray | None], dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Probe:
  """Measures the states on the way and changes nothing in them.

  Attributes:
    measure: state -> metrics by name; equal on all processes.
    every: steps between measurements; the last step of all is measured too.
  """

  measure: Callable[[Any], Mapping[str, float]]
  every: int = EVERY

  def due(self, step: int, steps: int) -> bool:
    """Whether the state after this step is measured, of a run of so many steps."""
    return step % self.every == 0 or step == steps


def check_probe(settings: Mapping[str, Any]) -> None:
  """Raises for settings of a probe that are unknown or not allowed.

  >>> check_probe({"epsilon": 0.2})
  Traceback (most recent call last):
  ValueError: epsilon of probe belongs to the examples crafted on a source; name a source too
  """
  for name in settings:
    checks.one_of(name, FIELDS, argument="field of probe")
  for name in ("every", "examples"):
    if name in settings:
      checks.count(**{name: settings[name]})
  if "epsilon" in settings:
    checks.scalar(epsilon=settings["epsilon"])
    checks.non_negative(epsilon=settings["epsilon"])
    if settings.get("source") is None:
      raise ValueError(
        "epsilon of probe belongs to the examples crafted on a source; name a source too"
      )
  if "white_box" in settings:
    checks.scalar(white_box=settings["white_box"])
    checks.non_negative(white_box=settings["white_box"])


def probe_metrics(settings: Mapping[str, Any] | None) -> list[str]:
  """The metrics that a probe with these settings writes, [] where there is no probe."""
  if settings is None:
    return []
  names = [ACCURACY, TRUE_LABEL_GRADIENT, UNIFORM_LABEL_GRADIENT]
  given = {"source": FGSM_ACCURACY, "white_box": WHITE_BOX_ACCURACY}
  return names + [metric for field, metric in given.items() if settings.get(field) is not None]


def probe_on(
  settings: Mapping[str, Any] | None, apply_fn: ApplyFn, dataset: Dataset, *, name: str
) -> Callable[[TrainedNetwork | None], Probe | None]:
  """Makes the probe that a recipe wants of its network, once its source is trained.

  Args:
    settings: the recipe's, see `Recipe.probe`.
    apply_fn: the network.
    dataset: what it is trained on.
    name: what the config calls it.

  Returns:
    the trained source, None where there is none -> the probe, None where there are no settings. It
    raises a ValueError where they name a source and none is given.

  Raises:
    ValueError: if there is no validation split, or it has fewer images than are to be measured.
  """
  if settings is None:
    return lambda source: None
  every, target = settings.get("every", EVERY), settings.get("source")
  examples, epsilon = settings.get("examples", EXAMPLES), settings.get("epsilon", EPSILON)
  measure = make_measure(apply_fn, dataset, examples=examples, white_box=settings.get("white_box"))

  def of_source(source: TrainedNetwork | None) -> Probe:
    if target is None:
      return Probe(lambda state: measure(state.evaluation_variables, None), every)
    if source is None:
      raise ValueError(f"the probe of {name!r} needs its trained source {target!r}")

    if source.diverged:
      # There are no images to measure on.
      return Probe(
        lambda state: {**measure(state.evaluation_variables, None), FGSM_ACCURACY: float("nan")},
        every,
      )

    @functools.cache  # a run that is finished does not ask for them
    def images() -> np.ndarray:
      return black_box_images(source.logits_fn, dataset, examples=examples, epsilon=epsilon)

    return Probe(lambda state: measure(state.evaluation_variables, images()), every)

  return of_source


def make_measure(
  apply_fn: ApplyFn,
  dataset: Dataset,
  *,
  examples: int = EXAMPLES,
  white_box: float | None = None,
) -> Measure:
  """Makes a function that measures a network in evaluation mode.

  On the first images of the validation split: the accuracy; the mean squared l2 norm of each
  image's own input gradient, mean_n ||d H(p, f(x_n)) / dx_n||^2, for the true labels p = y and for
  uniform ones p = 1/K; the accuracy on images crafted on another network; and that under FGSM
  through the network itself, with the true labels. The norms are per example. The authors' code
  scales by the number of images, by 1/2 and, for uniform labels, by K, so that the paper's curves
  can be compared in their ratios and shapes and not in their levels.

  Args:
    apply_fn: the network.
    dataset: its validation split is used.
    examples: how many images, from the first.
    white_box: radius of FGSM through the network itself, in pixel units; None for none.

  Returns:
    (variables, images crafted on another network or None) -> metrics, equal on all processes.

  Raises:
    ValueError: if there is no validation split, or it has fewer images.

  Source: Ross & Doshi-Velez 2018, figures 7 and 8.
  """
  split = _first(dataset, examples)

  def of_each_example(
    variables: Mapping[str, Any], numbers: Array, images: dict[str, Array]
  ) -> dict[str, Array]:
    del numbers  # nothing here is random

    def logits_fn(x: Array) -> Array:
      return apply_fn(variables, x, train=False)[0]

    y = images["y"]
    once = forward_pass(logits_fn, dataset.to_float(images["x"]), y)
    measured = {
      ACCURACY: is_correct(once.logits, y),
      TRUE_LABEL_GRADIENT: penalty_on(once, lambda _: y),
      UNIFORM_LABEL_GRADIENT: penalty_on(once, uniform),
    }
    if white_box is not None:
      attacked = fgsm(
        jax.random.key(0),
        known_network(once),
        once.x,
        y,
        epsilon=white_box,
        bounds=dataset.bounds,
      )
      measured[WHITE_BOX_ACCURACY] = is_correct(logits_fn(attacked), y)
    if "x_adv" in images:
      measured[FGSM_ACCURACY] = is_correct(logits_fn(images["x_adv"]), y)
    return measured

  of_all = over_examples(of_each_example, batch_size=_BATCH)

  def measure(variables: Mapping[str, Any], x_adv: np.ndarray | None) -> dict[str, float]:
    images = {"x": split.x, "y": split.y} | ({} if x_adv is None else {"x_adv": x_adv})
    measured = of_all(jax.tree.map(np.asarray, variables), images)
    means = {name: values.mean(dtype=np.float64) for name, values in measured.items()}
    if jax.process_count() > 1:
      # Devices of another kind may round otherwise.
      means = multihost_utils.broadcast_one_to_all(means)
    return {name: float(mean) for name, mean in means.items()}

  return measure


def black_box_images(
  source: LogitsFn, dataset: Dataset, *, examples: int = EXAMPLES, epsilon: float = EPSILON
) -> np.ndarray:
  """FGSM's images crafted on another network, of the validation images that a probe takes.

  Args:
    source: the network that they are crafted on.
    dataset: its validation split is used.
    examples: how many images, from the first.
    epsilon: linf norm of the step, in pixel units.

  Returns:
    Images [N, H, W, C] within the data set's bounds, float32.

  Raises:
    ValueError: if there is no validation split, or it has fewer images.
  """
  split = _first(dataset, examples)

  @jax.jit
  def attack(x: Array, y: Array) -> Array:
    x = dataset.to_float(x)
    return fgsm(jax.random.key(0), source, x, y, epsilon=epsilon, bounds=dataset.bounds)

  parts = [split.take(slice(i, i + _BATCH)) for i in range(0, examples, _BATCH)]
  return np.concatenate([attack(part.x, part.y) for part in parts])


def _first(dataset: Dataset, examples: int) -> Split:
  split = dataset.validation_for("a probe")
  checks.count(examples=examples)
  if examples > len(split):
    raise ValueError(
      f"examples of probe must be at most the {len(split)} of the validation split, got {examples}"
    )
  return split.take(slice(examples))
