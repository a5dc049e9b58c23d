"""The section of a transfer study: do examples crafted on one network fool another?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from robust_saliency.drawing import canvas, epsilon_curves
from robust_saliency.drawing.formatting import norm, percent, percent_range, short
from robust_saliency.drawing.palette import INK, Style
from robust_saliency.drawing.section import Picture, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results import shares
from robust_saliency.results.result import Result
from robust_saliency.studies.transfer import overlap

COLOUR_MAP = "Blues"
OUTLINE = "#D55E00"  # of the diagonal: seen on pale and on dark cells
MOST_HEAT_MAPS = 3  # more epsilons are drawn as curves
WIDTH = 4.6  # of the figure, in inches
CHARACTERS_PER_INCH = 14  # of the labels' font, on average


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
  count = len(models)
  rows, columns, legible = _labels(models)
  label_width = 0.4 + max(len(line) for row in rows for line in row.split("\n")) / 17
  bar_width = 0.74
  side = min((WIDTH - label_width - bar_width) / count, 0.95)
  row_height = max(min(side, 0.6), 0.08 + 0.125 * max(row.count("\n") + 1 for row in rows))
  height = count * row_height
  top = 0.78 + 0.14 * max(column.count("\n") for column in columns)
  size = (WIDTH, top + height + 0.12)
  title = f"{attack['label']}, ε = {short(epsilon)} ({norm(attack['norm'])})"
  colours = ScalarMappable(Normalize(0, 1), colormaps[COLOUR_MAP])

  def paint(figure: Figure) -> None:
    left, bottom = label_width / size[0], 0.12 / size[1]
    axes = figure.add_axes((left, bottom, count * side / size[0], height / size[1]))
    axes.imshow(accuracy, cmap=COLOUR_MAP, vmin=0, vmax=1, aspect="auto", interpolation="none")
    axes.set_xticks(range(count), columns)
    axes.set_yticks(range(count), rows)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False, pad=4, labelsize=7.5)
    axes.set_xlabel("target network", labelpad=5)
    axes.xaxis.set_label_position("top")
    axes.set_ylabel("source network", labelpad=5)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    for border in np.arange(1, count) - 0.5:
      axes.axhline(border, color="white", linewidth=1.5)
      axes.axvline(border, color="white", linewidth=1.5)
    for i in range(count):
      axes.add_patch(
        Rectangle((i - 0.46, i - 0.46), 0.92, 0.92, fill=False, edgecolor=OUTLINE, linewidth=1.4)
      )
      for j in range(count):
        red, green, blue, alpha = colours.to_rgba(accuracy[i, j])
        # A cell without a number is transparent.
        dark = alpha > 0 and 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
        axes.text(
          j,
          i,
          percent(accuracy[i, j]),
          ha="center",
          va="center",
          color="white" if dark else INK,
          fontsize=8.5 if side > 0.5 else 7,
        )
    bar = figure.add_axes(
      (left + (count * side + 0.14) / size[0], bottom, 0.09 / size[0], height / size[1])
    )
    figure.colorbar(colours, cax=bar, format=canvas.percent_label, ticks=[0, 0.5, 1])
    bar.tick_params(length=2)
    bar.spines[:].set_visible(False)
    figure.text(
      0.06 / size[0],
      1 - 0.06 / size[1],
      canvas.wrap(title, 44),
      va="top",
      fontsize=10,
      fontweight="bold",
    )

  svg, png = canvas.draw(size, paint)
  own = "; ".join(f"{model} {percent(accuracy[i, i])} %" for i, model in enumerate(models))
  others = accuracy[~np.eye(count, dtype=bool)]
  others = others[~np.isnan(others)]
  transferred = (
    f" Between different networks from {percent(others.min())} to {percent(others.max())} %."
    if others.size
    else ""
  )
  return Picture(
    name=f"{attack['name']} {short(epsilon)}",
    caption=f"{title}: accuracy, in per cent, of the column’s network on adversarial examples of "
    "the row’s." + ("" if legible else " Columns are numbered like the rows."),
    alt=f"Heat map of accuracies under {title}. Attacked themselves: {own}.{transferred}",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )


def _labels(models: Sequence[str]) -> tuple[list[str], list[str], bool]:
  """Labels of rows and columns, and whether the columns carry names, not just numbers.

  >>> _labels(["standard", "pgd"])
  (['standard', 'pgd'], ['standard', 'pgd'], True)
  >>> _labels(["trained on perturbed images", "plain"])[1:]
  (['1', '2'], False)
  """
  width = int(min(2.6 / len(models), 0.95) * CHARACTERS_PER_INCH)
  columns = [canvas.wrap(model, width) for model in models]
  lines = [line for column in columns for line in column.split("\n")]
  broken = any(len(word) > width for model in models for word in model.split())
  if (
    not broken
    and max(column.count("\n") for column in columns) < 2
    and max(map(len, lines)) <= width
  ):
    return [canvas.wrap(model, 20) for model in models], columns, True
  rows = [canvas.wrap(f"{i + 1}  {model}", 20) for i, model in enumerate(models)]
  return rows, [str(i + 1) for i in range(len(models))], False
