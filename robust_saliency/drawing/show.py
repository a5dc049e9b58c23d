"""Figures for one's own code: each function gives a matplotlib Figure, to show, restyle or save.

They need arrays alone, NumPy's or JAX's; `figure.savefig("maps.pdf")` writes any format.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import jax.numpy as jnp
import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from robust_saliency.core import Bounds, checks
from robust_saliency.drawing import canvas, epsilon_curves, heat_map
from robust_saliency.drawing.formatting import class_name, norm
from robust_saliency.drawing.palette import RULE, model_styles
from robust_saliency.drawing.saliency_panel import SIGNED_MAP, UNSIGNED_MAP, scale
from robust_saliency.drawing.tile_grid import TileGrid, show_image
from robust_saliency.results import Estimates, shares

How = Literal["heat map", "overlay", "masked image"]
Sign = Literal["signed", "absolute", "positive", "negative"]
ScaleOver = Literal["row", "image", "figure"]

OVERLAID_MAP = "inferno"  # of maps without a sign, which grey would not show on an image
MOST_OPAQUE = 0.8  # of an overlay


def show_maps(
  images: Any,
  maps: Any,
  *,
  how: How = "heat map",
  sign: Sign = "signed",
  scale_over: ScaleOver = "row",
  percentile: float = 99.5,
  bounds: Bounds = (0.0, 1.0),
  labels: Any = None,
  predictions: Any = None,
  classes: Sequence[str] = (),
  colour_bar: bool = True,
) -> Figure:
  """Draws images and, below them, one row of saliency maps for each method or network.

  Args:
    images: [N, H, W, C] within `bounds`.
    maps: name -> maps [N, H, W, C] or [N, H, W], one row each; or one such array.
    how: "heat map" draws the map alone, "overlay" on the greyed image, the larger a value the less
      transparent, "masked image" the image where the map is large, black elsewhere.
    sign: "signed" shows both signs (red and blue; in a masked image their size), "absolute" sizes
      alone, "positive" and "negative" those of one sign.
    scale_over: which maps share one scale: those of a "row", each "image" has its own, or all of
      the "figure".
    percentile: of the sizes, at which colours saturate.
    bounds: (low, high) of the pixels.
    labels: the images' classes, int [N]; written below them.
    predictions: int [N], or name -> int [N]; written below the maps, with a cross where they are
      not the label.
    classes: the classes' names; numbers without them.
    colour_bar: whether each row has one; it has none where each image has its own scale, nor
      beside masked images.

  Returns:
    The figure.

  Raises:
    ValueError: for arrays that do not belong together, or an unknown `how`, `sign` or `scale_over`.

  >>> images = np.full((2, 8, 8, 1), 0.5)
  >>> figure = show_maps(images, {"gradient": images - 0.2}, how="overlay", labels=[3, 7])
  >>> len(figure.axes)  # two images, two maps and a colour bar
  5
  """
  for argument, (value, kind) in {
    "how": (how, How),
    "sign": (sign, Sign),
    "scale_over": (scale_over, ScaleOver),
  }.items():
    checks.one_of(value, get_args(kind), argument=argument)
  checks.positive(percentile=percentile)
  if percentile > 100:
    raise ValueError(f"percentile must be at most 100, got {percentile}")
  pixels = _images(images, bounds, "images")
  rows = {
    name: _one_sign(_summed(array, pixels, f"maps {name!r}" if name else "maps"), sign)
    for name, array in _named(maps).items()
  }
  if not rows:
    raise ValueError("maps must have at least one row, got none")
  scales = _scales(rows, scale_over, percentile)
  signed = sign == "signed" and how != "masked image"
  drawn_map = colormaps[
    SIGNED_MAP if signed else OVERLAID_MAP if how == "overlay" else UNSIGNED_MAP
  ].with_extremes(bad=RULE)
  bars = colour_bar and how != "masked image" and scale_over != "image"
  shown = _named(predictions) if predictions is not None else {}
  _check_classes(len(pixels), labels=labels)
  for name, given in shown.items():
    if isinstance(predictions, Mapping):
      checks.one_of(name, rows, argument="a name in predictions")
    _check_classes(len(pixels), **{f"predictions {name!r}" if name else "predictions": given})

  def paint(figure: Figure) -> None:
    grid = TileGrid(figure, *shape, bars=bars)
    grid.heading(0, "Images" if labels is None else "Images, with their labels")
    for n, image in enumerate(pixels):
      show_image(grid.tile(n, 0, _class_below(classes, labels, n)), image)
    for r, (name, values) in enumerate(rows.items(), start=1):
      grid.heading(r, name)
      for n, value in enumerate(values):
        size, given = scales[name][n], shown.get(name, shown.get(""))
        right = given is None or _agree(given, labels, n)
        axes = grid.tile(n, r, _class_below(classes, given, n), right=right)
        limits = Normalize(-size if signed else 0, size)
        share = np.clip(np.abs(value) / size, 0, 1)
        if how == "masked image":
          show_image(axes, pixels[n] * np.nan_to_num(share)[..., None])
        elif how == "overlay":
          grey = np.repeat(pixels[n].mean(axis=-1, keepdims=True), 3, axis=-1)
          show_image(axes, grey)
          coloured = drawn_map(limits(value))
          coloured[..., 3] = MOST_OPAQUE * np.nan_to_num(share)
          axes.imshow(coloured, interpolation="none", aspect="auto")
        else:
          axes.imshow(value, cmap=drawn_map, norm=limits, interpolation="none", aspect="auto")
      if bars:
        grid.bar(r, ScalarMappable(limits, drawn_map))

  shape = len(pixels), len(rows) + 1, pixels.shape[1:3]
  return canvas.painted(TileGrid.size(*shape, bars=bars), paint)


def show_adversarial(
  images: Any,
  adversarial: Any,
  *,
  bounds: Bounds = (0.0, 1.0),
  labels: Any = None,
  predictions: Any = None,
  classes: Sequence[str] = (),
) -> Figure:
  """Draws images, what an attack has added to them, and the adversarial images.

  Args:
    images: [N, H, W, C] within `bounds`.
    adversarial: of the same shape, from an attack.
    bounds: (low, high) of the pixels.
    labels: the images' classes, int [N].
    predictions: the network's classes of the adversarial images, int [N]; a cross marks those that
      are not the label.
    classes: the classes' names; numbers without them.

  Returns:
    The figure. Perturbations are summed over the channels, and share one scale with a colour bar:
    red where pixels became brighter, blue where they became darker, in the images' own units.

  Raises:
    ValueError: for arrays that do not belong together.

  >>> image = np.full((1, 8, 8, 1), 0.5)
  >>> len(show_adversarial(image, image + 0.1, labels=[3], predictions=[5]).axes)
  4
  """
  pixels = _images(images, bounds, "images")
  changed = _images(adversarial, bounds, "adversarial")
  if changed.shape != pixels.shape:
    raise ValueError(f"adversarial must have the images' shape {pixels.shape}, got {changed.shape}")
  _check_classes(len(pixels), labels=labels, predictions=predictions)
  moved = ((changed - pixels) * (bounds[1] - bounds[0])).sum(axis=-1)
  size = float(np.abs(moved).max(initial=0.0)) or 1.0
  limits, shape = Normalize(-size, size), (len(pixels), 3, pixels.shape[1:3])

  def paint(figure: Figure) -> None:
    grid = TileGrid(figure, *shape)
    for row, heading in enumerate(("Images", "Perturbations", "Adversarial images")):
      grid.heading(row, heading)
    for n in range(len(pixels)):
      show_image(grid.tile(n, 0, _class_below(classes, labels, n)), pixels[n])
      grid.tile(n, 1).imshow(
        moved[n], cmap=SIGNED_MAP, norm=limits, interpolation="none", aspect="auto"
      )
      right = predictions is None or _agree(predictions, labels, n)
      below = _class_below(classes, predictions, n)
      show_image(grid.tile(n, 2, below, right=right), changed[n])
    grid.bar(1, ScalarMappable(limits, colormaps[SIGNED_MAP]))

  return canvas.painted(TileGrid.size(*shape), paint)


def show_robustness(
  epsilons: Any,
  correct: Mapping[str, Any],
  *,
  title: str = "Accuracy under attack",
  norm_name: str = "linf",
) -> Figure:
  """Draws each network's accuracy against the size of the perturbation.

  Args:
    epsilons: the radii [E].
    correct: network -> whether each image was right at each radius, bool [E, N], or the accuracies
      themselves [E]. The former have a band, Wilson's 95 % interval over the N images.
    title: what the attack was.
    norm_name: the norm of the radii.

  Returns:
    The figure.

  Raises:
    ValueError: for arrays that do not belong together.

  >>> correct = np.arange(4) < np.array([[4], [2]])
  >>> figure = show_robustness([0.0, 0.1], {"standard": correct, "pgd": [1.0, 0.75]})
  >>> [line.get_ydata().tolist() for line in figure.axes[0].lines]
  [[1.0, 0.5], [1.0, 0.75]]
  """
  epsilons = np.asarray(epsilons, np.float64)
  estimates = []
  for name, values in correct.items():
    array = np.asarray(values)
    if array.ndim not in (1, 2) or len(array) != len(epsilons):
      raise ValueError(
        f"correct of {name!r} must have shape ({len(epsilons)},) or ({len(epsilons)}, images), "
        f"got {array.shape}"
      )
    known = array.astype(np.float64)
    estimates.append(
      shares(array[:, None]) if array.ndim == 2 else Estimates(known, known, known, "", 1)
    )
  if not estimates:
    raise ValueError("correct must have at least one network, got none")
  value, low, high = (
    np.array([getattr(one, field) for one in estimates]) for field in ("value", "low", "high")
  )
  styles = model_styles(correct)
  accuracy = Estimates(value, low, high, "", 1)
  curves = epsilon_curves.painter(title, norm(norm_name), accuracy, list(epsilons), styles)
  size, paint = canvas.curve_painter(styles, curves)
  return canvas.painted(size, paint)


def show_transfer(
  accuracy: Any, models: Sequence[str], *, title: str = "Accuracy on transferred examples"
) -> Figure:
  """Draws a transfer matrix as a heat map: a row for each source, a column for each target network.

  Args:
    accuracy: [source, target], the target's accuracy on examples crafted on the source.
    models: the networks' names.
    title: what the attack was.

  Returns:
    The figure.

  Raises:
    ValueError: for accuracies that are not square, or as many as the names.

  >>> show_transfer([[0.1, 0.8], [0.9, 0.2]], ["standard", "pgd"]).axes[0].get_ylabel()
  'source network'
  """
  values = np.asarray(accuracy, np.float64)
  if values.shape != (len(models), len(models)) or not len(models):
    raise ValueError(
      f"accuracy must have shape ({len(models)}, {len(models)}), one row and column for each of "
      f"models, got {values.shape}"
    )
  return canvas.painted(*heat_map.painter(values, list(models), title=title))


def _class_below(classes: Sequence[str], given: Any, n: int) -> str:
  return "" if given is None else class_name(classes, np.asarray(given)[n])


def _check_classes(images: int, **arguments: Any) -> None:
  for name, given in arguments.items():
    if given is not None and np.shape(given) != (images,):
      raise ValueError(f"{name} must have shape ({images},), got {np.shape(given)}")


def _agree(predictions: Any, labels: Any, n: int) -> bool:
  return labels is None or bool(np.asarray(predictions)[n] == np.asarray(labels)[n])


def _named(arrays: Any) -> Mapping[str, Any]:
  return arrays if isinstance(arrays, Mapping) else {"": arrays}


def _images(images: Any, bounds: Bounds, argument: str) -> np.ndarray:
  """Images as they are drawn, float64 in [0, 1]."""
  array = np.asarray(images, np.float64)
  if array.ndim != 4 or not array.size:
    raise ValueError(
      f"{argument} must have shape [batch, height, width, channels], got {array.shape}"
    )
  checks.images(jnp.asarray(array), bounds=bounds, argument=argument)
  return (array - bounds[0]) / (bounds[1] - bounds[0])


def _summed(maps: Any, images: np.ndarray, argument: str) -> np.ndarray:
  """Maps summed over their channels, float64 [N, H, W]."""
  array = np.asarray(maps, np.float64)
  if array.ndim == 4:
    array = array.sum(axis=-1)
  if array.shape != images.shape[:3]:
    raise ValueError(
      f"{argument} must have shape {images.shape[:3]}, with or without channels, got "
      f"{np.shape(maps)}"
    )
  return array


def _one_sign(maps: np.ndarray, sign: Sign) -> np.ndarray:
  if sign == "absolute":
    return np.abs(maps)
  if sign == "positive":
    return np.maximum(maps, 0)
  return np.maximum(-maps, 0) if sign == "negative" else maps


def _scales(
  rows: Mapping[str, np.ndarray], over: ScaleOver, percentile: float
) -> dict[str, list[float]]:
  """For each map of each row the size at which its colours saturate."""
  if over == "figure":
    of_all = scale(np.stack(list(rows.values())), percentile)
    return {name: [of_all] * len(maps) for name, maps in rows.items()}
  return {
    name: [scale(maps if over == "row" else one, percentile) for one in maps]
    for name, maps in rows.items()
  }
