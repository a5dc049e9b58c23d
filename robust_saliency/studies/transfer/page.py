"""The section of a transfer study: do examples crafted on one network fool another?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robust_saliency.drawing import canvas, epsilon_curves, heat_map
from robust_saliency.drawing.formatting import norm, percent, percent_range, short
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Picture, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results import shares
from robust_saliency.results.published import points
from robust_saliency.results.result import Result
from robust_saliency.studies.transfer import overlap

MOST_HEAT_MAPS = 3  # more epsilons are drawn as curves


def section(result: Result, styles: Mapping[str, Style]) -> Section:
  """Draws `correct` [seed, epsilon, source, target, example].

  Args:
    result: of a transfer study; metadata `attack` (`name`, `label`, `norm`) and perhaps `overlap`
      (`models`, `epsilon`).
    styles: how each model is drawn.

  Returns:
    A section with a heat map per epsilon or, for many epsilons, with curves per source network;
    diagrams of the overlap; all numbers as a table and as sheets.
  """
  coordinates, attack = result.layout.coordinates, result.metadata["attack"]
  models, seeds, epsilons = (coordinates[axis] for axis in ("source", "seed", "epsilon"))
  correct = result.arrays["correct"]
  examples = correct.shape[-1]
  accuracy = shares(np.moveaxis(correct, 0, 3))
  groups = [
    RowGroup(
      [
        Row(
          source,
          [
            f"{percent(accuracy.value[e, i, j])} "
            f"({percent_range(accuracy.low[e, i, j], accuracy.high[e, i, j])})"
            for j in range(len(models))
          ],
        )
        for i, source in enumerate(models)
      ],
      heading=f"ε = {short(epsilon)}",
    )
    for e, epsilon in enumerate(epsilons)
  ]
  per_seed = correct.mean(axis=-1)
  drawn = {model: styles[model] for model in models} if len(epsilons) > MOST_HEAT_MAPS else {}
  if drawn:
    reading = (
      "Each picture holds the adversarial examples of one source network, each curve a target "
      "network that classifies them: the source itself, and others that they fool only by transfer."
    )
    pictures = [
      epsilon_curves.picture(
        f"{attack['name']} {source}",
        f"{attack['label']}, source network {source}",
        norm(attack["norm"]),
        accuracy[:, i].T,
        epsilons,
        drawn,
        {},
        {
          target: points(result, "correct", "epsilon", {"source": source, "target": target})
          for target in models
        },
      )
      for i, source in enumerate(models)
    ]
  else:
    reading = (
      "A row holds the adversarial examples of one source network, a column the target network "
      "that classifies them: a pale cell means that those examples fool that network. The outlined "
      "diagonal is the attack on the network itself; pale cells beside it are attacks that "
      "transfer."
    )
    pictures = [
      _picture(attack, epsilon, models, accuracy.value[e]) for e, epsilon in enumerate(epsilons)
    ]
  sheets = []
  if "overlap" in result.metadata:
    fooled = _fooled_together(result)
    if fooled is not None:
      chosen = result.metadata["overlap"]
      names = chosen["models"]
      ball = {"label": attack["label"], "epsilon": chosen["epsilon"]}
      pictures = [*pictures, overlap.picture(fooled, names, names, styles, **ball)]
      sheets = [overlap.sheet(fooled, names, names)]
  over = f", mean over {len(seeds)} seeds" if len(seeds) > 1 else ""
  return Section(
    title="Transfer",
    reading=f"{reading} Accuracy on {examples:,} images{over}.",
    pictures=pictures,
    tables=[
      Table(
        caption=(
          f"Accuracy under {attack['label']} in per cent: the row’s network is the source, the "
          f"column’s the target; in brackets the {accuracy.interval}."
        ),
        columns=["Source", *models],
        groups=groups,
        folded=True,
      )
    ],
    sheets=[
      Sheet(
        "transfer",
        [
          "attack",
          "norm",
          "epsilon",
          "source",
          "target",
          "seed",
          "accuracy",
          "examples",
        ],
        [
          [
            attack["name"],
            attack["norm"],
            epsilon,
            source,
            target,
            seed,
            float(per_seed[s, e, i, j]),
            examples,
          ]
          for e, epsilon in enumerate(epsilons)
          for i, source in enumerate(models)
          for j, target in enumerate(models)
          for s, seed in enumerate(seeds)
        ],
      ),
      *sheets,
    ],
  )


def _fooled_together(result: Result) -> np.ndarray | None:
  """Of the first seed that has them all, whether the source's example fools the target.

  Returns:
    bool [source, target, example] for the three networks of the overlap; None without such a seed.
  """
  chosen, layout = result.metadata["overlap"], result.layout
  three = [layout.position("source", name) for name in chosen["models"]]
  correct = result.at("correct", epsilon=chosen["epsilon"])[:, three][:, :, three]
  for of_seed in correct:
    if not np.isnan(of_seed).any():
      return of_seed == 0
  return None


def _picture(
  attack: Mapping[str, Any], epsilon: float, models: Sequence[str], accuracy: np.ndarray
) -> Picture:
  title = f"{attack['label']}, ε = {short(epsilon)} ({norm(attack['norm'])})"
  size, paint = heat_map.painter(accuracy, models, title=title)
  svg, png = canvas.draw(size, paint)
  own = "; ".join(f"{model} {percent(accuracy[i, i])} %" for i, model in enumerate(models))
  others = accuracy[~np.eye(len(models), dtype=bool)]
  others = others[~np.isnan(others)]
  transferred = (
    f" Between different networks from {percent(others.min())} to {percent(others.max())} %."
    if others.size
    else ""
  )
  numbered = "" if heat_map.is_legible(models) else " Columns are numbered like the rows."
  return Picture(
    name=f"{attack['name']} {short(epsilon)}",
    caption=f"{title}: accuracy, in per cent, of the column’s network on adversarial examples of "
    f"the row’s.{numbered}",
    alt=f"Heat map of accuracies under {title}. Attacked themselves: {own}.{transferred}",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )
