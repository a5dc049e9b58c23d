"""Looks for every pitfall: in a network, in what attacks did to it, and by a few more attacks."""

import functools
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from jax import Array

from robust_saliency.attacks.evaluation import pitfalls
from robust_saliency.attacks.evaluation.ensemble import Verdicts, run_attacks
from robust_saliency.attacks.fgsm import fgsm
from robust_saliency.attacks.pgd import pgd
from robust_saliency.core import Attack, LogitsFn, Norm, PixelBounds
from robust_saliency.core.programs import RowPrograms
from robust_saliency.core.tracing import floating

# (name of a function of `pitfalls`, its sentence or None).
Found = list[tuple[str, str | None]]

FEW = 9  # images that a network which gets everything wrong is looked at with


def find_pitfalls(
  keys: Array,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  attacks: Mapping[str, Attack | Mapping[str, Attack]],
  verdicts: Mapping[str, Verdicts],
  gradient_free: Mapping[str, Mapping[str, bool]],
  norm: str | Norm,
  epsilon: Array | float,
  bounds: PixelBounds,
  batch_size: int,
  probed: int,
) -> dict[str, list[str]]:
  """Applies every function of `pitfalls`.

  Further attacks are PGD among all images, FGSM, and 4 times the steps of each attack that has
  them as a setting (those of ensembles apart). Of a network without a gradient, what needs one is
  left out.

  Args:
    keys: one PRNG key per example [N].
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [N, H, W, C].
    y: the true classes, int [N].
    attacks: as in `evaluate_attacks`.
    verdicts: what they did, by name.
    gradient_free: whether each of their attacks does without the network's gradient, by name.
    norm: as in `evaluate_attacks`.
    epsilon: as in `evaluate_attacks`.
    bounds: as in `evaluate_attacks`.
    batch_size: as in `evaluate_attacks`.
    probed: on how many of the correctly classified examples; 0 runs no further attack.

  Returns:
    Name of a function -> the sentences that it gave; those that gave none are left out.
  """
  correct = np.flatnonzero(next(iter(verdicts.values())).correct)
  few = correct[: max(probed, FEW)] if len(correct) else np.arange(min(FEW, len(x)))
  found = _in_the_network(logits_fn, x[few], y[few]) + _in_verdicts(verdicts, gradient_free)
  differentiable = dict(found)["no_gradient"] is None
  chosen = correct[:probed]
  if len(chosen):

    def accuracy(attack: Attack, norm: str | Norm, epsilon: Array | float) -> float:
      return run_attacks(
        keys[chosen],
        logits_fn,
        x[chosen],
        y[chosen],
        attacks={"probe": attack},
        norm=norm,
        epsilon=epsilon,
        bounds=bounds,
        batch_size=batch_size,
        say=lambda _: None,
      ).accuracy

    if differentiable:
      # In linf this ball holds every image, whatever norm the attacks are measured in.
      width = bounds[1] - bounds[0]
      unlimited = functools.partial(pgd, norm="linf", epsilon=width, bounds=bounds, steps=40)
      stands = pitfalls.stands_any_perturbation(accuracy(unlimited, "linf", width))
      found.append(("stands_any_perturbation", stands))
    iterative = {name: steps for name, one in attacks.items() if (steps := _steps_of(one)) > 1}
    one_step = functools.partial(fgsm, norm=norm, epsilon=epsilon, bounds=bounds)
    # Everything is as good as FGSM where there is none.
    after_one = accuracy(one_step, norm, epsilon) if iterative and differentiable else 1.0
    for name, steps in iterative.items():
      reached = float(1 - verdicts[name].broken[0, chosen].mean())
      attack: Any = attacks[name]
      more = accuracy(functools.partial(attack, steps=4 * steps), norm, epsilon)
      found += [
        ("steps_lose_their_way", pitfalls.steps_lose_their_way(name, reached, after_one)),
        ("not_converged", pitfalls.not_converged(name, steps, reached, more)),
      ]
  warnings: dict[str, list[str]] = {}
  for pitfall, sentence in found:
    if sentence is not None:
      warnings.setdefault(pitfall, []).append(sentence)
  return warnings


def _in_the_network(logits_fn: LogitsFn, x: Array, y: Array) -> Found:
  floats = floating(logits_fn)
  logits = RowPrograms(lambda _, x: floats(x), devices=1)(None, np.asarray(x), rows=len(x))
  no_gradient = pitfalls.no_gradient(logits_fn, x)
  of_gradients: Found = []
  if no_gradient is None:
    of_gradients = [
      ("logits_are_probabilities", pitfalls.logits_are_probabilities(logits)),
      ("zero_gradients", pitfalls.zero_gradients(logits_fn, x, y)),
    ]
  return [
    ("randomised_logits", pitfalls.randomised_logits(floats, x)),
    ("no_gradient", no_gradient),
    *of_gradients,
    ("non_finite_logits", pitfalls.non_finite_logits(logits)),
    ("depends_on_companions", pitfalls.depends_on_companions(floats, x)),
    ("too_few_classes", pitfalls.too_few_classes(logits.shape[1])),
  ]


def _in_verdicts(
  verdicts: Mapping[str, Verdicts], gradient_free: Mapping[str, Mapping[str, bool]]
) -> Found:
  found: Found = []
  for name, one in verdicts.items():
    for a, member in enumerate(one.attacks):
      label = member if member == name else f"{name}/{member}"
      counts = int(one.outside[a].sum()), int(one.tried[a].sum())
      found.append(("leaves_the_ball", pitfalls.leaves_the_ball(label, *counts)))
  tried = np.concatenate([one.tried for one in verdicts.values()])
  broken = np.concatenate([one.broken for one in verdicts.values()])
  without = np.array(
    [gradient_free[name][a] for name, one in verdicts.items() for a in one.attacks]
  )
  sentence = pitfalls.black_box_breaks_more(tried, broken, without)
  return [*found, ("black_box_breaks_more", sentence)]


def _steps_of(attack: Attack | Mapping[str, Attack]) -> int:
  """The attack's number of steps, where that is a setting of it, else 0."""
  if isinstance(attack, Mapping):
    return 0
  parameter = inspect.signature(attack).parameters.get("steps")
  return parameter.default if parameter and isinstance(parameter.default, int) else 0
