"""The section of a matched comparison: accuracy under attack against what it is matched by."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from robust_saliency.drawing import canvas
from robust_saliency.drawing.formatting import attack_in_words, number, percent, percent_range
from robust_saliency.drawing.palette import QUIET, Style
from robust_saliency.drawing.section import Picture, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results import Estimate, mean, shares
from robust_saliency.results.result import Result

PLACES = {"gradient norm": "mean gradient norm", "clean accuracy": "clean accuracy"}


def section(result: Result, styles: Mapping[str, Style]) -> Section:
  """Draws `robust` against both places of `gap`, and tabulates the gaps.

  Args:
    result: of a matched comparison; metadata `along` and `attacks`.
    styles: how each network is drawn.

  Returns:
    A section with two pictures for each attack, two tables and a sheet.
  """
  known, said = result.layout.coordinates, result.metadata
  clean, norms, robust = (result.arrays[name] for name in ("clean", "gradient_norm", "robust"))
  # [model, seed]
  places = {
    "gradient norm": np.asarray(norms, np.float64).mean(axis=-1),
    "clean accuracy": np.asarray(clean, np.float64).mean(axis=-1),
  }
  chosen = {model: styles[model] for model in known["model"]}
  along = [known["model"].index(name) for name in said["along"]]
  labels = [attack_in_words(attack, attack["epsilon"]) for attack in said["attacks"]]
  pictures = [
    _picture(by, label, places[by], np.asarray(robust[a], np.float64).mean(axis=-1), along, chosen)
    for a, label in enumerate(labels)
    for by in PLACES
  ]
  return Section(
    title="Matched comparison",
    reading=(
      f"A network with small input gradients is harder to fool, however it came by them. The line "
      f"joins {', '.join(said['along'])}. A network above it is more accurate under attack than "
      "networks of that line with the same mean norm of the true class’s logit gradient, or with "
      "the same clean accuracy. Each seed is compared with the line of the same seed; where a "
      "network lies beyond the line’s ends there is no number."
    ),
    pictures=pictures,
    tables=[_accuracies(result, labels, places), _gaps(result, labels)],
    sheets=[_sheet(result, places)],
  )


def _accuracies(result: Result, labels: list[str], places: Mapping[str, np.ndarray]) -> Table:
  clean, robust = shares(result.arrays["clean"]), shares(result.arrays["robust"])
  rows = [
    Row(
      model,
      [
        percent(clean.value[m]),
        number(float(places["gradient norm"][m].mean())),
        *(
          f"{percent(robust.value[a, m])} ({percent_range(robust.low[a, m], robust.high[a, m])})"
          for a in range(len(labels))
        ),
      ],
    )
    for m, model in enumerate(result.layout.coordinates["model"])
  ]
  return Table(
    caption=(
      "Accuracy in per cent, and the mean ℓ₂ norm of the gradient of the true class’s logit; in "
      f"brackets the {robust.interval}."
    ),
    columns=["Network", "Clean", "Gradient norm", *labels],
    groups=[RowGroup(rows)],
  )


def _gaps(result: Result, labels: list[str]) -> Table:
  gaps, known = result.arrays["gap"], result.layout.coordinates
  groups = [
    RowGroup(
      [
        Row(model, [_points(mean(gaps[by, a, c])) for by in range(len(PLACES))])
        for c, model in enumerate(known["compared"])
      ],
      heading=label,
    )
    for a, label in enumerate(labels)
  ]
  return Table(
    caption=(
      "By how many points of accuracy under attack a network lies above the line, with the 95 % "
      "interval over networks and images."
    ),
    columns=["Network", *(f"at its own {place}" for place in PLACES.values())],
    groups=groups,
  )


def _points(estimate: Estimate) -> str:
  if np.isnan(estimate.value):
    return "beyond the line"
  ends = percent_range(estimate.low, estimate.high) if np.isfinite(estimate.low) else "one value"
  return f"{percent(estimate.value)} ({ends})".replace("-", "−")


def _picture(
  by: str,
  label: str,
  places: np.ndarray,
  accuracy: np.ndarray,
  along: list[int],
  styles: dict[str, Style],
) -> Picture:
  """One mark per network and seed, and a line through the means of those that it joins."""

  def paint(axes: Axes) -> None:
    joined = [(places[m].mean(), accuracy[m].mean()) for m in along]
    axes.plot(*zip(*joined, strict=True), color=QUIET, linewidth=1, zorder=1)
    for m, style in enumerate(styles.values()):
      axes.plot(
        places[m],
        accuracy[m],
        color=style.colour,
        marker=style.marker,
        linestyle="none",
        markersize=5,
        alpha=0.8,
        clip_on=False,
      )
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(canvas.percent_label)
    if by == "clean accuracy":
      axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    else:
      axes.set_xlim(left=0)
    axes.set_xlabel(PLACES[by])
    axes.set_ylabel("accuracy under attack")
    axes.set_title(canvas.wrap(label, 46))

  markers = {name: Style(one.colour, one.marker, "none") for name, one in styles.items()}
  size, svg, png = canvas.curve_figure(markers, paint)
  each = "; ".join(
    f"{model} {number(float(places[m].mean()))}, {percent(float(accuracy[m].mean()))} %"
    for m, model in enumerate(styles)
  )
  return Picture(
    name=f"{label} by {by}",
    caption=f"Accuracy under {label} against {PLACES[by]}: one mark for each network and seed.",
    alt=f"Scatter plot of accuracy under {label} against {PLACES[by]}. Means: {each}.",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )


def _sheet(result: Result, places: Mapping[str, np.ndarray]) -> Sheet:
  known, gaps, robust = result.layout.coordinates, result.arrays["gap"], result.arrays["robust"]
  rows = []
  for m, model in enumerate(known["model"]):
    for s, seed in enumerate(known["seed"]):
      for a, attack in enumerate(known["attack"]):
        own = (
          [
            float(gaps[by, a, known["compared"].index(model), s].mean())
            for by in range(len(PLACES))
          ]
          if model in known["compared"]
          else ["", ""]
        )
        where = [float(places[by][m, s]) for by in PLACES]
        rows.append([model, seed, attack, *where, float(robust[a, m, s].mean()), *own])
  header = ["model", "seed", "attack", "gradient_norm", "clean", "robust"]
  return Sheet("matched", [*header, "gap_at_gradient_norm", "gap_at_clean_accuracy"], rows)
