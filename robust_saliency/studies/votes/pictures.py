"""From a study's arrays to the pictures of a questionnaire."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from robust_saliency.core import checks
from robust_saliency.drawing.small_images import image_png, map_png
from robust_saliency.results.result import Result
from robust_saliency.studies.votes.questionnaire import Picture

MODEL, METHOD = "model", "method"
IMAGE, CLASS = "image", "class"
_PIXELS = ("height", "width", "channel")


@dataclasses.dataclass(frozen=True)
class Maps:
  """Maps of the same images, or of the same classes, by what is compared.

  Attributes:
    axis: what is compared, "method" or "model".
    names: of what is compared.
    sizes: how much each pixel matters, float [compared, N, H, W], >= 0.
    labels: the class of each of the N, int [N].
    classes: their names.
    images: in [0, 1], [N, H, W, C]; None for maps of whole classes.
  """

  axis: str
  names: tuple[str, ...]
  sizes: np.ndarray
  labels: np.ndarray
  classes: tuple[str, ...]
  images: np.ndarray | None

  def of(self, names: Sequence[str]) -> "Maps":
    """Those of some of what is compared; all for no names."""
    for name in names:
      checks.one_of(name, self.names, argument="compare")
    kept = [self.names.index(name) for name in names or self.names]
    return dataclasses.replace(
      self, names=tuple(self.names[i] for i in kept), sizes=self.sizes[kept]
    )

  def of_classes(self) -> "Maps":
    """One map of each class: the mean over its images of each map divided by its own sum."""
    if self.images is None:
      return self
    totals = self.sizes.sum(axis=(2, 3), keepdims=True)
    parts = self.sizes / np.where(totals > 0, totals, 1)
    labels = np.unique(self.labels)
    means = [parts[:, self.labels == label].mean(axis=1) for label in labels]
    return dataclasses.replace(self, sizes=np.stack(means, axis=1), labels=labels, images=None)


def maps_of(result: Result) -> Maps:
  """The maps that a study keeps under "maps", of its first seed.

  Compared are its methods, if that is an axis of it, else its networks; for a study with both it
  is the methods on its first network.

  Args:
    result: with an array "maps" of the axes "method" or "model", "class" or "example", and those
      of pixels; and "labels" and "images", where it is of examples.

  Raises:
    ValueError: for a study without maps.
  """
  axes = result.layout.axes.get("maps", ())
  compared = next((axis for axis in (METHOD, MODEL) if axis in axes), None)
  shown = next((axis for axis in (CLASS, "example") if axis in axes), None)
  if compared is None or shown is None or "height" not in axes:
    raise ValueError(f"study {result.name!r} ({result.kind}) keeps no maps that can be compared")
  maps, kept = result.arrays["maps"], list(axes)
  for axis in axes:
    if axis not in (compared, shown, *_PIXELS):
      maps = np.take(maps, 0, axis=kept.index(axis))
      kept.remove(axis)
  order = [axis for axis in (compared, shown, *_PIXELS) if axis in kept]
  maps = np.asarray(maps, np.float64).transpose([kept.index(axis) for axis in order])
  sizes = np.abs(maps.sum(axis=-1) if "channel" in kept else maps)
  coordinates, metadata = result.layout.coordinates, result.metadata
  of_classes = shown == CLASS
  classes = coordinates.get(CLASS) if of_classes else metadata.get("classes")
  labels = np.arange(sizes.shape[1]) if of_classes else np.asarray(result.arrays["labels"])
  return Maps(
    compared,
    tuple(map(str, coordinates[compared])),
    sizes,
    labels,
    tuple(map(str, classes or range(int(labels.max()) + 1))),
    None if of_classes else np.asarray(result.arrays["images"], np.float64),
  )


def pictures_to_compare(maps: Maps) -> tuple[list[Picture], dict[str, bytes]]:
  """One question of each class or image: a picture of each method or network.

  Returns:
    The pictures, and question -> the image that it is about.
  """
  pictures: list[Picture] = []
  shown: dict[str, bytes] = {}
  for n, label in enumerate(maps.labels):
    name = maps.classes[label]
    group = f"{name}" if maps.images is None else f"{name}, image {n}"
    if maps.images is not None:
      shown[group] = image_png(maps.images[n])
    pictures += [
      Picture(group, compared, int(label), map_png(maps.sizes[c, n]), int(label), n)
      for c, compared in enumerate(maps.names)
    ]
  return pictures, shown


def pictures_to_label(
  result: Result, models: Sequence[str] = ()
) -> tuple[tuple[str, ...], list[Picture], list[str]]:
  """The images of a targeted attack that their own network takes for the target.

  A participant is shown one of each original class and network. Classes of which some network has
  no such image are left out for all, so that all networks are shown as often.

  Args:
    result: of the study "targeted".
    models: whose images; none for those of all networks that were attacked.

  Returns:
    The networks, their pictures, and the classes that are left out.

  Raises:
    ValueError: for another study, a network that was not attacked, or no image left.

  Source: Ross & Doshi-Velez 2018, section "Human-subject study".
  """
  if "adversarial" not in result.arrays or "targets" not in result.arrays:
    raise ValueError(f"study {result.name!r} ({result.kind}) keeps no targeted images")
  coordinates = result.layout.coordinates
  for model in models:
    checks.one_of(model, coordinates[MODEL], argument="compare")
  names = tuple(models) or coordinates[MODEL]
  labels, targets = result.arrays["labels"], result.arrays["targets"]
  hits: dict[tuple[str, int], list[Picture]] = {}
  for name in names:
    m = coordinates[MODEL].index(name)
    read = result.arrays["predictions"][m, coordinates["reader"].index(name), 0]
    for n, k in np.argwhere((read == targets) & (labels[:, None] != targets)):
      label = int(labels[n])
      png = image_png(np.asarray(result.arrays["adversarial"][m, n, k]))
      picture = Picture(
        f"{name}, {label}", name, label, png, int(targets[k]), int(result.arrays["positions"][n])
      )
      hits.setdefault((name, label), []).append(picture)
  classes = [int(label) for label in np.unique(labels)]
  kept = [label for label in classes if all((name, label) in hits for name in names)]
  if not kept:
    raise ValueError(
      f"study {result.name!r}: of no class does each of {checks.listed(names)} have an image that "
      "it takes for its target"
    )
  pictures = [picture for name in names for label in kept for picture in hits[name, label]]
  left_out = [str(coordinates[CLASS][label]) for label in classes if label not in kept]
  return names, pictures, left_out
