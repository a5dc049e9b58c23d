"""A map of each image for terms that need one: a teacher's, or one that no network has made."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax
import numpy as np
from absl import logging
from jax import Array

from robust_saliency import models
from robust_saliency.attributions.registry import is_signed
from robust_saliency.core import checks, records
from robust_saliency.core.files import DamagedFileError, verified_digest
from robust_saliency.core.keys import as_threefry
from robust_saliency.core.programs import RowPrograms, Shared
from robust_saliency.core.progress import Progress
from robust_saliency.core.settings import Count
from robust_saliency.data import Dataset, Split
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import Networks, positions_of_each_class
from robust_saliency.studies.methods import attribution_on
from robust_saliency.studies.study import Measured, Study
from robust_saliency.studies.target_maps import page
from robust_saliency.studies.target_maps.controls import CONTROLS
from robust_saliency.studies.target_maps.map_file import MapFile, open_maps
from robust_saliency.training import TrainedNetwork

OF_NETWORKS = ("teacher", "untrained")
# The key of maps that are the same for all seeds.
ALL_SEEDS = "all"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetMaps(Study):
  """One map of each image, and of each seed of the teacher, for models that name it in `maps`.

  The maps are of the true class and as they come: signed, not normalised, of images that are not
  augmented, by the teacher in evaluation mode. They are made chunk by chunk; one that was killed
  resumes after its last chunk. An example's map depends on its own pixels, class and place in the
  data set: neither `batch_size` nor the number of devices changes it by more than the rounding of
  the network.

  Attributes:
    source: "teacher" for attributions of the teacher; "untrained" for those of a network of its
      architecture before training, with initial parameters of its own, which are no student's; or,
      without a network and for all seeds alike, "class_mean" or "nearest_neighbour" (of the
      training images of its class) minus the image, "edges" (Sobel) or the "image" itself.
    teacher: the model whose maps they are; None where there is no network.
    attribution: an attribution's config; "label" is what the report calls it. None where there is
      no network.
    split: whose images; a model is trained with maps of "train".
    per_class: how many maps of each class the report shows.
    batch_size: images per call, over all devices, and per chunk.

  Arrays, and the maps themselves as files beside them:
    maps: float32 [example, height, width, channel], those that are shown, of the first seed.
    images: float32 [example, height, width, channel], 0 to 1 from the lower to the upper bound.
    labels: int [example].
    zeros: the share of zeros among all values of all maps, [seed], or [] where there is no network.
    length: the mean l2 norm of a map, of the same axes.

  Source: Noack, Ahern, Dou & Li 2021, "An empirical study on the relation between network
  interpretability and adversarial robustness" (their code).
  """

  kind: ClassVar[str] = "target_maps"
  keeps_files: ClassVar[bool] = True

  source: Literal["teacher", "untrained", "class_mean", "nearest_neighbour", "edges", "image"] = (
    "teacher"
  )
  teacher: str | None = None
  attribution: Mapping[str, Any] | None = None
  split: Literal["train", "validation", "test"] = "train"
  per_class: Count = 1
  batch_size: Count = 250

  def networks(self, trained: Iterable[str]) -> tuple[str, ...]:
    """See `Study.networks`."""
    del trained
    return () if self.teacher is None else (self.teacher,)

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    image = ("example", "height", "width", "channel")
    of_seeds = ("seed",) if networks else ()
    return Layout(
      {
        "maps": image,
        "images": image,
        "labels": ("example",),
        "zeros": of_seeds,
        "length": of_seeds,
      },
      {"seed": seeds} if networks else {},
      units=dict.fromkeys(("maps", "images", "labels"), f"images of the {self.split} split"),
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    if self.attribution is None:
      return {}
    with checks.naming("attribution"):
      return {"attribution": attribution_on(dataset, self.attribution)}

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    if self.models is not None:
      raise ValueError("models of target maps are their teacher alone; leave it out")
    for field in ("teacher", "attribution"):
      missing = getattr(self, field) is None
      if missing and self.source in OF_NETWORKS:
        raise ValueError(f"maps of source {self.source!r} need the field {field!r}")
      if not missing and self.source not in OF_NETWORKS:
        raise ValueError(f"maps of source {self.source!r} have no {field}; leave it out")
    dataset.split_for("maps of the validation split", self.split)
    super().check(modules, dataset)

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`; it leaves one file for each seed, and says in "maps" which."""
    split, files, read = dataset.split_for("maps of the validation split", self.split), {}, {}
    for seed, maps_of in self._makers(networks, dataset, split, key):
      path = directory / (f"seed_{seed}.npy" if seed != ALL_SEEDS else f"{ALL_SEEDS}.npy")
      digest = MapFile(path, split.x.shape).make(
        _with_progress(maps_of, len(split), seed), examples=self.batch_size
      )
      files[seed], read[seed] = {"file": path.name, "sha256": digest}, open_maps(path, digest)
    positions = positions_of_each_class(split, len(dataset.classes), self.per_class)
    shape = (len(positions), *dataset.image_shape)
    # Nothing is known of a teacher that has diverged.
    shown = next((maps[positions] for maps in read.values()), np.full(shape, np.nan, np.float32))
    low, high = dataset.bounds
    seeds = [str(one.seed) for of_seeds in networks.values() for one in of_seeds]
    numbers = {seed: _statistics(maps) for seed, maps in read.items()}
    zeros, length = (
      np.array([numbers.get(seed, (np.nan, np.nan))[i] for seed in seeds or [ALL_SEEDS]])
      for i in range(2)
    )
    arrays = {
      "maps": np.asarray(shown),
      "images": (dataset.to_float(split.x[positions]) - low) / (high - low),
      "labels": split.y[positions],
      "zeros": zeros if seeds else zeros[0],
      "length": length if seeds else length[0],
    }
    return arrays, {
      "maps": files,
      "source": self.source,
      "teacher": self.teacher,
      "split": self.split,
      "images": len(split),
      "method": self._method(dataset),
      "classes": list(dataset.classes),
    }

  def is_whole(self, result: Result) -> bool:
    """See `Study.is_whole`."""
    try:
      for path, digest in map_files(result).values():
        if verified_digest(path) != digest:
          return False
    except DamagedFileError as error:
      logging.warning("The maps of %s are not whole: %s", result.name, error)
      return False
    return True

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result, styles)

  def _method(self, dataset: Dataset) -> dict[str, Any]:
    if self.attribution is None:
      signed = self.source != "edges" and (self.source != "image" or dataset.bounds[0] < 0)
      return {"name": self.source, "label": page.SOURCES[self.source], "signed": signed}
    name = self.attribution["name"]
    label = self.attribution.get("label", name)
    return {"name": name, "label": label, "signed": is_signed(self.attribution)}

  def _makers(
    self, networks: Networks, dataset: Dataset, split: Split, key: Array
  ) -> Iterator[tuple[str, Callable[[slice], np.ndarray]]]:
    """For each seed, as text, what makes the maps of a part of the split."""
    if not networks:
      control = CONTROLS[self.source](dataset, split)

      def of_part(part: slice) -> np.ndarray:
        return control(np.arange(part.start, part.stop), split.x[part], split.y[part])

      yield ALL_SEEDS, of_part
      return
    ((_, of_seeds),) = networks.items()
    explain = self._explain(of_seeds[0].module, dataset)
    rows = min(self.batch_size, len(split))
    for network in of_seeds:
      own_key = jax.random.fold_in(key, network.seed)
      if self.source == "teacher" and network.diverged:
        continue
      shared = Shared((self._variables(network, dataset, own_key), as_threefry(own_key)))

      def of_images(part: slice, shared: Shared = shared) -> np.ndarray:
        x = np.asarray(dataset.to_float(split.x[part]))
        return explain(shared, np.arange(part.start, part.stop), x, split.y[part], rows=rows)

      yield str(network.seed), of_images

  def _explain(self, module: nn.Module, dataset: Dataset) -> RowPrograms:
    attribute = attribution_on(dataset, self.attribution or {})

    def of_rows(shared: tuple[Any, Array], numbers: Array, x: Array, y: Array) -> Array:
      variables, key = shared
      keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, numbers)
      return attribute(keys, models.logits_fn(module, variables), x, y)

    return RowPrograms(of_rows)

  def _variables(self, network: TrainedNetwork, dataset: Dataset, key: Array) -> Any:
    if self.source == "teacher":
      return network.variables
    return models.init(
      network.module, jax.random.fold_in(key, _INITIALIZATION), dataset.image_shape
    )


def map_files(result: Result) -> dict[str, tuple[Path, str]]:
  """Seed, as text, -> the file of its maps and its digest."""
  folder = result.folder
  if folder is None:
    raise ValueError(f"the maps of {result.name!r} are not beside its arrays")
  with records.understanding(f"{result.name} does not say where its maps are"):
    return {
      seed: (folder / Path(about["file"]).name, about["sha256"])
      for seed, about in result.metadata["maps"].items()
    }


def maps_of_seed(result: Result, seed: int) -> tuple[Path, str] | None:
  """The file of the maps of a seed and its digest; None where its teacher has diverged.

  Args:
    result: of target maps, as it is read from an experiment's folder.
    seed: of the teacher; where there is none, all seeds have the same maps.
  """
  found = map_files(result)
  return found.get(ALL_SEEDS, found.get(str(seed)))


def _with_progress(
  maps_of: Callable[[slice], np.ndarray], images: int, seed: str
) -> Callable[[slice], np.ndarray]:
  whose = "all seeds" if seed == ALL_SEEDS else f"seed {seed}"
  progress = Progress(f"target maps, {whose}", images, unit="images")

  def of_part(part: slice) -> np.ndarray:
    progress.update(part.start)
    return maps_of(part)

  return of_part


def _statistics(maps: np.ndarray, chunk: int = 1000) -> tuple[float, float]:
  """The share of zeros, and the mean length of a map."""
  zeros, lengths = 0, 0.0
  for i in range(0, len(maps), chunk):
    part = np.asarray(maps[i : i + chunk], np.float64).reshape(len(maps[i : i + chunk]), -1)
    zeros += int((part == 0).sum())
    lengths += float(np.sqrt((part**2).sum(axis=1)).sum())
  return zeros / maps.size, lengths / len(maps)


# Far from any example's number, which is folded into the same key.
_INITIALIZATION = 2**31 - 1
