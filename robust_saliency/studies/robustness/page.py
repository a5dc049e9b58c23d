"""The section of a robustness study: accuracy against the size of the perturbation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robust_saliency.drawing import epsilon_curves
from robust_saliency.drawing.formatting import norm, percent, short
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Headline, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results import shares
from robust_saliency.results.published import points
from robust_saliency.results.result import Result

# A table shows at most this many epsilons, evenly chosen; the CSV file has them all.
TABLE_COLUMNS = 7


def section(result: Result, styles: Mapping[str, Style]) -> Section:
  """Draws `correct` [attack, model, seed, epsilon, example], one figure per attack.

  Args:
    result: of a robustness study; metadata `attacks` (each with `name`, `label` and `norm`, perhaps
      `precision` and `temperature`) and, where there was adversarial training, `training_epsilons`
      (model -> epsilon or None) and `training_norms` (model -> norm or None; an epsilon is marked
      only under attacks in that norm).
    styles: how each model is drawn.

  Returns:
    A section with a figure per attack, one table and one sheet.
  """
  coordinates, attacks = result.layout.coordinates, result.metadata["attacks"]
  models, seeds, epsilons = (coordinates[axis] for axis in ("model", "seed", "epsilon"))
  correct = result.arrays["correct"]
  examples = correct.shape[-1]
  accuracy = shares(correct.swapaxes(2, 3))

  pictures = [
    epsilon_curves.picture(
      attack["name"],
      attack["label"],
      norm(attack["norm"]),
      accuracy[a],
      epsilons,
      {model: styles[model] for model in models},
      _training_epsilons(result, attack),
      {
        model: points(result, "correct", "epsilon", {"attack": attack["name"], "model": model})
        for model in models
      },
    )
    for a, attack in enumerate(attacks)
  ]

  shown = _evenly_chosen(len(epsilons), TABLE_COLUMNS)
  left_out = (
    f" {len(shown)} of {len(epsilons)} values of ε; the CSV file has all."
    if len(shown) < len(epsilons)
    else ""
  )
  over = f", mean over {len(seeds)} seeds" if len(seeds) > 1 else ""
  groups = [
    RowGroup(
      [
        Row(model, [percent(accuracy.value[a, m, e]) for e in shown])
        for m, model in enumerate(models)
      ],
      heading=f"{attack['label']}, {norm(attack['norm'])}",
    )
    for a, attack in enumerate(attacks)
  ]
  per_seed = correct.mean(axis=-1)
  reference = _reference(result, epsilons)
  return Section(
    title="Robust accuracy under each attack",
    reading=(
      f"Each curve follows one network’s accuracy on {examples:,} images as the attack may change "
      "them more and more: the longer a curve stays up, the more robust the network against that "
      "attack. A stronger attack might push any curve further down."
      f"{_on_masking(attacks)}"
    ),
    pictures=pictures,
    tables=[
      Table(
        caption=f"Accuracy under attack, in per cent{over}.{left_out}",
        columns=["Network", *(f"ε = {short(epsilons[e])}" for e in shown)],
        groups=groups,
      )
    ],
    headlines=[
      Headline(
        f"Accuracy under {attack['label']} at ε = {short(epsilons[reference])}, %",
        {model: percent(accuracy.value[a, m, reference]) for m, model in enumerate(models)},
      )
      for a, attack in enumerate(attacks)
      if attack.get("precision", "float32") == "float32" and attack.get("temperature", 1) == 1
    ],
    sheets=[
      Sheet(
        "robustness",
        ["attack", "norm", "model", "seed", "epsilon", "accuracy", "examples"],
        [
          [
            attack["name"],
            attack["norm"],
            model,
            seed,
            epsilon,
            float(per_seed[a, m, s, e]),
            examples,
          ]
          for a, attack in enumerate(attacks)
          for m, model in enumerate(models)
          for s, seed in enumerate(seeds)
          for e, epsilon in enumerate(epsilons)
        ],
      )
    ],
  )


def _on_masking(attacks: Sequence[Mapping[str, Any]]) -> str:
  """Why one attack is listed in several precisions or on scaled logits, if it does."""
  if all(
    attack.get("precision", "float32") == "float32" and attack.get("temperature", 1) == 1
    for attack in attacks
  ):
    return ""
  return (
    " Gradients that vanish in float32 come back in float64 or with scaled logits: a network that "
    "stays correct under an attack only in plain float32 masks its gradients and is not robust."
  )


def _training_epsilons(result: Result, attack: Mapping[str, Any]) -> dict[str, float]:
  """The epsilons that models were trained with, as far as they mean the same as the attack's."""
  norms = result.metadata.get("training_norms") or {}
  return {
    model: float(epsilon)
    for model, epsilon in (result.metadata.get("training_epsilons") or {}).items()
    if epsilon is not None and norms.get(model) == attack["norm"]
  }


def _reference(result: Result, epsilons: Sequence[float]) -> int:
  """The position of the radius that the page's first table is about.

  The largest that networks of the study were trained with, in its attacks' norm; or else the middle
  one.
  """
  models = result.layout.coordinates["model"]
  trained = [
    epsilon
    for attack in result.metadata["attacks"]
    for model, epsilon in _training_epsilons(result, attack).items()
    if epsilon and model in models
  ]
  if not trained:
    return len(epsilons) // 2
  return int(np.argmin(np.abs(np.array(epsilons) - max(trained))))


def _evenly_chosen(count: int, most: int) -> list[int]:
  """At most `most` of `count` positions, both ends among them.

  >>> _evenly_chosen(11, 6), _evenly_chosen(3, 6)
  ([0, 2, 4, 6, 8, 10], [0, 1, 2])
  """
  if count <= most:
    return list(range(count))
  return [round(float(i)) for i in np.linspace(0, count - 1, most)]
