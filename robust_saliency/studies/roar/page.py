"""The section on ROAR and KAR: curves, scores, controls."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from robust_saliency.drawing import canvas
from robust_saliency.drawing.formatting import number, percent, with_interval
from robust_saliency.drawing.palette import QUIET, Style
from robust_saliency.drawing.section import Headline, Picture, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results import of_networks
from robust_saliency.results.result import Result
from robust_saliency.studies.roar import many_maps
from robust_saliency.studies.roar.curves_picture import curves_picture

GOES = {"ROAR": "the most important pixels are removed", "KAR": "the least important ones are"}


def section(result: Result, styles: Mapping[str, Style]) -> Section:
  """Draws `accuracy` and `control` against the fraction, and tabulates `score`.

  Args:
    result: of ROAR; metadata `labels`, `scored`, `images`, `trained_on`, `fill` and
      `explained_class`.
    styles: how each network is drawn.

  Returns:
    A section with a picture for each protocol and method, or of one network for each protocol,
    two tables or three and a sheet.
  """
  known, said = result.layout.coordinates, result.metadata
  chosen = {model: styles[model] for model in known["model"]}
  protocols = " and ".join(f"{protocol}, where {GOES[protocol]}" for protocol in known["protocol"])
  by_map = len(known["model"]) == 1 and len(known["map"]) > 1
  return Section(
    title="Remove and retrain",
    reading=(
      f"Networks are trained anew on {said['trained_on']:,} images without a fraction of their "
      f"pixels, in {protocols}, and scored on {said['images']:,} {said['scored']} images treated "
      f"alike ({said['fill'].replace('_', ' ')} in the pixels’ place; maps of the "
      f"{said['explained_class']} class). A map that is right makes ROAR’s curve fall faster than "
      "that of pixels drawn at random, and KAR’s slower. A map that is only smoother may do so "
      "too: compare it with a smoothed map of the standard network."
      f"{_masks(result)}"
    ),
    pictures=[many_maps.picture(result, p) for p in range(len(known["protocol"]))]
    if by_map
    else [
      *(_tradeoff(result, p, chosen) for p in range(len(known["protocol"]))),
      *(
        _picture(result, p, m, chosen)
        for p in range(len(known["protocol"]))
        for m in range(len(known["map"]))
        if np.isfinite(result.arrays["accuracy"][p, m]).any()
      ),
    ],
    headlines=[
      Headline(
        f"{protocol} score of {said['labels'][known['map'][0]]}",
        {
          model: number(float(score.mean()))
          for model, score in zip(known["model"], scores[0], strict=True)
        },
      )
      for protocol, scores in zip(known["protocol"], result.arrays["score"], strict=True)
    ],
    is_headline=True,
    tables=[
      *([many_maps.accuracies(result)] if by_map else []),
      _scores(result),
      _controls(result),
    ],
    sheets=[_sheet(result)],
  )


def _masks(result: Result) -> str:
  """What is said of maps that are not of single images."""
  known = result.metadata.get("of_classes", {})
  labels = result.metadata["labels"]
  text = ""
  if one_for_all := [labels[name] for name, of in known.items() if of == "all classes"]:
    text += (
      f" One mask for all images, which says nothing of their class: {', '.join(one_for_all)}."
    )
  if own := [labels[name] for name, of in known.items() if of == "class"]:
    text += (
      f" A mask for each class, whose shape gives it away, see the masks alone: {', '.join(own)}."
    )
  return text


def _picture(result: Result, p: int, m: int, styles: dict[str, Style]) -> Picture:
  """The curves of all networks by one map, means over seeds."""
  known = result.layout.coordinates
  protocol, label = known["protocol"][p], result.metadata["labels"][known["map"][m]]
  accuracies = result.arrays["accuracy"][p, m].mean(axis=1)
  return curves_picture(
    result,
    p,
    {
      model: of_model
      for model, of_model in zip(known["model"], accuracies, strict=True)
      if np.isfinite(of_model).any()
    },
    styles,
    name=f"{protocol} {known['map'][m]}",
    title=f"{protocol}: {label}",
    caption=f"{protocol} by {label}: mean accuracy after retraining.",
  )


def _tradeoff(result: Result, p: int, styles: dict[str, Style]) -> Picture:
  """Scores against clean accuracy: a filled mark for the first map, open ones for the others."""
  known, labels = result.layout.coordinates, result.metadata["labels"]
  protocol, scores = known["protocol"][p], result.arrays["score"][p].mean(axis=-1)
  clean = result.arrays["clean"].mean(axis=-1)
  front = _pareto(np.broadcast_to(clean, scores.shape), scores)

  def paint(axes: Axes) -> None:
    for m in range(len(scores)):
      for n, style in enumerate(styles.values()):
        axes.plot(
          clean[n],
          scores[m, n],
          color=style.colour,
          marker=style.marker,
          linestyle="none",
          markersize=6,
          markerfacecolor=style.colour if m == 0 else "none",
        )
    axes.plot(
      [clean[n] for _, n in front],
      [scores[m, n] for m, n in front],
      color=QUIET,
      linewidth=0.8,
      zorder=1,
    )
    axes.axhline(0, color=QUIET, linewidth=0.7)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    axes.set_xlabel("clean accuracy of the explained network")
    axes.set_ylabel("score")
    axes.set_title(f"{protocol}: accuracy against interpretability")

  markers = {name: Style(one.colour, one.marker, "none") for name, one in styles.items()}
  size, svg, png = canvas.curve_figure(markers, paint)
  methods = known["map"]
  named = "; ".join(f"{known['model'][n]} by {labels[methods[m]]}" for m, n in front)
  others = "" if len(methods) == 1 else "; open marks: " + ", ".join(labels[m] for m in methods[1:])
  return Picture(
    name=f"{protocol} trade-off",
    caption=(
      f"{protocol} score against clean accuracy, means over networks. Filled marks: "
      f"{labels[methods[0]]}{others}. The line joins what nothing exceeds in both: {named}."
    ),
    alt=f"Scatter plot of {protocol} scores against clean accuracy. Not exceeded in both: {named}.",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )


def _pareto(first: np.ndarray, second: np.ndarray) -> list[tuple[int, ...]]:
  """The places that no other exceeds in both numbers, in the order of the first one.

  >>> _pareto(np.array([1.0, 2.0, 1.5]), np.array([2.0, 1.0, 0.5]))
  [(0,), (1,)]
  """
  places = [place for place in np.ndindex(*first.shape) if np.isfinite(second[place])]
  best = [
    one
    for one in places
    if not any(
      first[other] >= first[one]
      and second[other] >= second[one]
      and (first[other] > first[one] or second[other] > second[one])
      for other in places
    )
  ]
  return sorted(best, key=lambda place: float(first[place]))


def _scores(result: Result) -> Table:
  known, scores = result.layout.coordinates, result.arrays["score"]
  groups = [
    RowGroup(
      [
        Row(
          model,
          [
            percent(float(result.arrays["clean"][n].mean())),
            *(with_interval(of_networks(scores[p, m, n])) for p in range(len(scores))),
          ],
        )
        for n, model in enumerate(known["model"])
        if np.isfinite(scores[:, m, n]).any()
      ],
      heading=result.metadata["labels"][method],
    )
    for m, method in enumerate(known["map"])
  ]
  return Table(
    caption=(
      "Scores: the area between the curve and that of random pixels, positive where the map is "
      "better than chance; in brackets the 95 % interval over networks."
    ),
    columns=["Explained network", "clean, %", *(f"{one} score" for one in known["protocol"])],
    groups=groups,
  )


def _controls(result: Result) -> Table:
  known, arrays = result.layout.coordinates, result.arrays
  columns = [f"{percent(fraction)} %" for fraction in known["fraction"]]
  groups = [
    RowGroup(
      [
        Row(control, [percent(float(one)) for one in arrays["control"][p, c].mean(axis=0)])
        for c, control in enumerate(known["control"])
      ],
      heading=f"{protocol}, accuracy in per cent without",
    )
    for p, protocol in enumerate(known["protocol"])
  ]
  if known["mask"]:
    groups.append(
      RowGroup(
        [
          Row(f"{mask}, {model}", [percent(float(one)) for one in of.mean(axis=0)])
          for mask, of_mask in zip(known["mask"], arrays["mask_only"], strict=True)
          for model, of in zip(known["model"], of_mask, strict=True)
          if np.isfinite(of).any()
        ],
        heading="Masks alone: what their shape says of the class",
      )
    )
  return Table(
    caption=(
      "Controls that know no network, and masks without images. Retrained on whole images: "
      f"{percent(float(arrays['unmodified'].mean()))} %."
    ),
    columns=["Pixels ranked by", *columns],
    groups=groups,
    folded=True,
  )


def _sheet(result: Result) -> Sheet:
  known, arrays = result.layout.coordinates, result.arrays
  rows = [
    [protocol, control, "", seed, fraction, float(arrays["control"][p, c, s, f]), ""]
    for p, protocol in enumerate(known["protocol"])
    for c, control in enumerate(known["control"])
    for s, seed in enumerate(known["seed"])
    for f, fraction in enumerate(known["fraction"])
  ]
  rows += [
    [protocol, method, model, seed, fraction, float(accuracy), float(arrays["score"][p, m, n, s])]
    for p, protocol in enumerate(known["protocol"])
    for m, method in enumerate(known["map"])
    for n, model in enumerate(known["model"])
    for s, seed in enumerate(known["seed"])
    for fraction, accuracy in zip(known["fraction"], arrays["accuracy"][p, m, n, s], strict=True)
  ]
  header = ["protocol", "map", "model", "seed", "fraction", "accuracy", "score"]
  return Sheet("roar", header, rows)
