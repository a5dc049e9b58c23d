"""The section on class explanations: classes by methods, how alike they are, how stable."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from robust_saliency.drawing import canvas, saliency_panel
from robust_saliency.drawing.formatting import number, with_interval
from robust_saliency.drawing.palette import Style, model_styles
from robust_saliency.drawing.section import Picture, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results import of_networks
from robust_saliency.results.result import Result

COLUMNS = 10  # classes side by side; more make another figure


def section(result: Result, styles: Mapping[str, Style]) -> Section:
  """Draws `importance`, and tells `stability`, `specificity` and `rank_correlation`.

  Args:
    result: of class maps; metadata "labels", "rules", "without_network", "segments", "clusters",
      "parts", "samples", "explained_class", "split", "images" and "classes".
    styles: how each network is drawn; here colours are the methods'.

  Returns:
    A section with a panel per ten classes, a line chart, two tables and two sheets.
  """
  del styles
  labels = result.metadata["labels"]
  drawn = model_styles(labels.values())
  return Section(
    title="Class explanations",
    reading=_reading(result),
    pictures=[*_panels(result, drawn), *_stabilities(result, drawn)],
    tables=[_summary(result), _correlations(result)],
    sheets=[_sheet(result), _correlation_sheet(result)],
  )


def _reading(result: Result) -> str:
  said, arrays = result.metadata, result.arrays
  what = (
    f"{said['parts']:,} parts, each at the same place in every image"
    if said["clusters"] is None
    else f"superpixels, of which {said['clusters']:,} clusters are the features"
  )
  text = (
    f"What matters for each class, from {said['images']:,} images of the {said['split']} split "
    f"that were explained one by one, for the {said['explained_class']} class. Features: {what}. "
  )
  if "fit" in arrays:
    samples = f" from {said['samples']:,} samples an image" if said["samples"] else ""
    fit = float(np.nanmean(arrays["fit"])) if np.isfinite(arrays["fit"]).any() else np.nan
    rules = ", ".join(said["labels"][name] for name in said["rules"])
    text += (
      f"LIME’s coefficients{samples} (their linear models’ mean R² is {number(fit)}) are "
      f"aggregated in different ways: {rules}. "
    )
  others = [
    label
    for name, label in said["labels"].items()
    if name not in (*said["rules"], *said["without_network"])
  ]
  if others:
    text += f"For {_listed(others)} it is the mean size over a feature’s pixels and over images. "
  if said["without_network"]:
    names = [said["labels"][name] for name in said["without_network"]]
    text += f"No network is known to {_listed(names)}: a method should be better than they are. "
  return text.strip()


def _listed(names: list[str]) -> str:
  return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _panels(result: Result, styles: dict[str, Style]) -> list[Picture]:
  """The maps of the first network, a row for each method and a column for each class."""
  arrays, classes = result.arrays, result.metadata["classes"]
  maps = np.asarray(arrays["maps"][:, 0], np.float64)
  # Of a class only what is important is of interest, not how important that is for another.
  maps = maps / np.maximum(maps.max(axis=(-2, -1), keepdims=True), np.finfo(np.float64).tiny)
  model, seed = result.layout.coordinates["model"][0], result.layout.coordinates["seed"][0]
  shown = (
    "class maps below the mean image of each class"
    if result.metadata["clusters"] is None
    else "the importance of each superpixel’s cluster, below a class’s first image"
  )
  return [
    saliency_panel.panel(
      f"{shown}, each map divided by its largest value ({model}, seed {seed})",
      styles,
      [False] * len(styles),
      classes,
      arrays["pictures"][part],
      maps[:, part],
      np.arange(len(classes))[part],
      None,
      [saliency_panel.scale(of_method) for of_method in maps],
      first=part.start,
      above="Images",
    )
    for part in (slice(i, i + COLUMNS) for i in range(0, len(classes), COLUMNS))
  ]


def _stabilities(result: Result, styles: dict[str, Style]) -> list[Picture]:
  """Spearman's correlation between halves against their size, a picture for each network."""
  known, pictures = result.layout.coordinates, []
  sizes = np.array(known["size"], np.float64)
  for n, model in enumerate(known["model"]):
    of_maps = result.arrays["stability"][:, :, n].mean(axis=-1)
    curves = {
      label: (style, of_map)
      for (label, style), of_map in zip(styles.items(), of_maps, strict=True)
      if np.isfinite(of_map).any()
    }
    if not curves:
      continue

    def paint(
      axes: Axes, curves: dict[str, tuple[Style, np.ndarray]] = curves, model: str = model
    ) -> None:
      for style, of_map in curves.values():
        axes.plot(
          sizes,
          of_map,
          color=style.colour,
          marker=style.marker,
          linestyle=style.dash,
          linewidth=1.7,
          markersize=4,
        )
      axes.set_xscale("log")
      axes.set_xticks(sizes, [f"{size:.0f}" for size in sizes])
      axes.minorticks_off()
      axes.set_ylim(top=1.02)
      axes.set_xlabel("explanations of each class in a half")
      axes.set_ylabel("rank correlation of two halves")
      axes.set_title(canvas.wrap(f"Stability: {model}", 46))

    size, svg, png = canvas.curve_figure({one: style for one, (style, _) in curves.items()}, paint)
    ends = "; ".join(
      f"{label} {number(float(of_map[0]))} to {number(float(of_map[-1]))}"
      for label, (_, of_map) in curves.items()
    )
    pictures.append(
      Picture(
        name=f"stability {model}",
        caption=(
          "How alike two maps of one class are that are made from disjoint halves of its images, "
          f"the mean over classes and networks: {model}."
        ),
        alt=f"Line chart of rank correlations, from the smallest to the largest halves: {ends}.",
        svg=svg,
        png=png,
        width=canvas.css_width(size),
      )
    )
  return pictures


def _summary(result: Result) -> Table:
  known, arrays, labels = result.layout.coordinates, result.arrays, result.metadata["labels"]
  first = labels[known["method"][0]]
  groups = [
    RowGroup(
      [
        Row(
          labels[name],
          [
            with_interval(of_networks(arrays["rank_correlation"][m, 0, n])) if m else "—",
            *(
              with_interval(of_networks(values)) if np.isfinite(values).any() else "—"
              for values in (arrays["stability"][m, -1, n], arrays["specificity"][m, n])
            ),
          ],
        )
        for m, name in enumerate(known["method"])
      ],
      heading=model,
    )
    for n, model in enumerate(known["model"])
  ]
  return Table(
    caption=(
      "Spearman’s rank correlations, means over classes, in brackets the 95 % interval over "
      f"networks: with the maps of {first}; between halves of {known['size'][-1]} explanations of "
      "each class; and how much that exceeds the correlation between different classes."
    ),
    columns=["Method", f"with {first}", "between halves", "of one class beyond others"],
    groups=groups,
  )


def _correlations(result: Result) -> Table:
  known, values = result.layout.coordinates, result.arrays["rank_correlation"].mean(axis=-1)
  labels = [result.metadata["labels"][name] for name in known["method"]]
  return Table(
    caption="Rank correlations of all methods’ maps, means over classes and networks.",
    columns=["Method", *labels],
    groups=[
      RowGroup(
        [
          Row(label, [number(float(one)) for one in values[m, :, n]])
          for m, label in enumerate(labels)
        ],
        heading=model,
      )
      for n, model in enumerate(known["model"])
    ],
    folded=True,
  )


def _sheet(result: Result) -> Sheet:
  known, values = result.layout.coordinates, result.arrays["stability"]
  rows = [
    [name, model, seed, size, float(values[m, i, n, s])]
    for m, name in enumerate(known["method"])
    for n, model in enumerate(known["model"])
    for s, seed in enumerate(known["seed"])
    for i, size in enumerate(known["size"])
  ]
  return Sheet("stability", ["method", "model", "seed", "size", "rank correlation"], rows)


def _correlation_sheet(result: Result) -> Sheet:
  known, values = result.layout.coordinates, result.arrays["rank_correlation"]
  rows = [
    [name, other, model, seed, float(values[m, o, n, s])]
    for m, name in enumerate(known["method"])
    for o, other in enumerate(known["other"])
    for n, model in enumerate(known["model"])
    for s, seed in enumerate(known["seed"])
  ]
  return Sheet("rank_correlation", ["method", "other", "model", "seed", "rank correlation"], rows)
