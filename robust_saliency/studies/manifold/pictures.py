"""The pictures of the manifold: distances, their densities, what the VAE-GAN makes, gradients."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robust_saliency.drawing import canvas, saliency_panel
from robust_saliency.drawing.formatting import class_name, number
from robust_saliency.drawing.palette import QUIET, Style, model_styles
from robust_saliency.drawing.section import Picture
from robust_saliency.drawing.tile_grid import TileGrid, show_image
from robust_saliency.results.result import Result

# Of a density's kernel, in standard deviations of the distances; the authors'.
BANDWIDTH = 0.25
POINTS = 300


def distances(result: Result, place: int) -> Picture:
  """Mean distances against the place in the order of strength, a line for each panel."""
  arrays, panels = result.arrays, result.metadata["panels"]
  name, networks = (
    result.layout.coordinates["manifold"][place],
    result.layout.coordinates["network"],
  )
  means, of_standards = arrays["mean_distance"][place], arrays["of_standards"][place, 0]
  natural = float(arrays["natural"][place].mean())
  nearer = int((arrays["gap"][place] < 0).all(axis=1).sum())
  styles = model_styles([*panels])
  most = max(map(len, panels.values()))

  def paint(axes: Axes) -> None:
    axes.axhline(natural, color=QUIET, linewidth=1, linestyle="--")
    axes.annotate(
      "natural images", (most, natural), ha="right", va="bottom", fontsize=8, color=QUIET
    )
    axes.plot([0] * len(of_standards), of_standards, ".", color=QUIET, markersize=7)
    for panel, of in panels.items():
      style, own = styles[panel], [means[networks.index(one)] for one in of]
      axes.plot(
        range(len(of) + 1),
        [of_standards.mean(), *own],
        color=style.colour,
        linestyle=style.dash,
        marker=style.marker,
        markersize=4,
        linewidth=1.4,
      )
    axes.set_xticks(range(most + 1), ["standard", *range(1, most + 1)])
    axes.margins(y=0.08)
    axes.set_ylim(bottom=0)
    axes.set_title(canvas.wrap(name, 46))
    axes.set_ylabel("mean ℓ₂ distance")
    axes.set_xlabel("attack of training, in the order of strength")

  size, svg, png = canvas.curve_figure(styles, paint)
  told = "; ".join(f"{one} {number(float(of))}" for one, of in zip(networks, means, strict=True))
  return Picture(
    name=f"distance {name}",
    caption=(
      f"Mean distance of adversarial images by {name}, against the strength of the attack of "
      "training. Points: the standard networks; broken line: natural images."
    ),
    alt=(
      f"Line chart of distances by {name}: natural images {number(natural)}; standard networks "
      f"{', '.join(number(float(one)) for one in of_standards)}; {told}."
      f" Networks nearer than all standard ones: {nearer}."
    ),
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )


def densities(result: Result, panel: str, styles: Mapping[str, Style]) -> Picture:
  """How the distances of a panel's networks are distributed, as in the authors' figures."""
  from scipy import stats  # takes a fifth of a command's start

  arrays, known = result.arrays, result.layout.coordinates
  names = [known["standard"][0], *result.metadata["panels"][panel]]
  rows = [known["model"].index(name) for name in names]
  count = arrays["counts"][[*result.metadata["panels"]].index(panel)].astype(bool)
  values = {"test images": arrays["natural"][0, count]}
  values |= {name: arrays["distance"][0, m, 0, count] for name, m in zip(names, rows, strict=True)}
  drawn = {"test images": Style(QUIET, "o", "--"), **{name: styles[name] for name in names}}

  def paint(axes: Axes) -> None:
    everything = np.concatenate(list(values.values()))
    if len(everything) and np.isfinite(everything).all():
      places = np.linspace(0, everything.max() * 1.05, POINTS)
      for name, of in values.items():
        if np.ptp(of) > 0:
          curve = stats.gaussian_kde(of, BANDWIDTH)(places)
          axes.plot(
            places, curve, color=drawn[name].colour, linestyle=drawn[name].dash, linewidth=1.4
          )
    axes.set_ylim(bottom=0)
    axes.set_title(canvas.wrap(f"{panel}: {int(count.sum()):,} images", 46))
    axes.set_xlabel(f"ℓ₂ distance, {known['manifold'][0]}")
    axes.set_ylabel("density")

  size, svg, png = canvas.curve_figure(drawn, paint)
  told = "; ".join(f"{name} {number(float(np.mean(of)))}" for name, of in values.items() if len(of))
  return Picture(
    name=f"densities {panel}",
    caption=(
      f"Densities of the distances in the panel {panel}, of the images of which all of its "
      "networks are fooled."
    ),
    alt=f"Densities of distances, panel {panel}. Means: {told or 'no image counts'}.",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )


def images(result: Result) -> Picture:
  """Images, what the VAE-GAN makes of them, and samples of its prior."""
  arrays = {
    name: result.arrays[name].astype(np.float32)
    for name in ("images", "reconstructions", "samples")
  }
  labels, classes = result.arrays["labels"], result.metadata["classes"]
  columns, shape = max(map(len, arrays.values())), arrays["images"].shape[1:3]
  size = TileGrid.size(columns, 3, shape, bars=False)
  headings = {
    "images": "Test images",
    "reconstructions": "What the VAE-GAN makes of them, by the mean code",
    "samples": "Samples of the VAE-GAN",
  }

  def paint(figure: Figure) -> None:
    grid = TileGrid(figure, columns, 3, shape, bars=False)
    for row, (name, heading) in enumerate(headings.items()):
      grid.heading(row, heading)
      for n, image in enumerate(arrays[name]):
        below = class_name(classes, labels[n]) if name == "images" else ""
        show_image(grid.tile(n, row, below), image)

  svg, png = canvas.draw(size, paint)
  return Picture(
    name="reconstructions",
    caption="What the VAE-GAN knows: the first test image of each class, and samples.",
    alt="Three rows of images: test images, their reconstructions, samples of the VAE-GAN.",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
    inline="png",
    least_width=round(0.62 * canvas.css_width(size)),
  )


def gradients(result: Result, styles: Mapping[str, Style]) -> Picture:
  """The gradients of the first standard network and of each panel's strongest one."""
  arrays, models = result.arrays, result.layout.coordinates["model"]
  shown = [models[0], *(of[-1] for of in result.metadata["panels"].values())]
  places = [models.index(one) for one in shown]
  places = [m for m in places if np.isfinite(arrays["gradients"][m]).all()]
  shown = [models[m] for m in places]
  maps = arrays["gradients"][places].astype(np.float64).sum(axis=-1)
  return saliency_panel.panel(
    "loss gradient, of the logarithm of the predicted class’s probability",
    {one: styles[one] for one in shown},
    [True] * len(shown),
    result.metadata["classes"],
    arrays["images"].astype(np.float32),
    maps,
    arrays["labels"],
    arrays["predictions"][places].astype(int),
    [saliency_panel.scale(row) for row in maps],
  )
