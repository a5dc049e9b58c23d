"""Maps of an experiment's networks by several methods, and a panel of them for each network."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency import attributions
from robust_saliency.attributions.registry import get_attribution, is_signed
from robust_saliency.core import Attribution, LogitsFn, checks, files, folders, records
from robust_saliency.core.binding import bind, settings_of
from robust_saliency.data import Dataset, Split
from robust_saliency.drawing import saliency_panel
from robust_saliency.drawing.palette import model_styles
from robust_saliency.drawing.section import Picture
from robust_saliency.pipeline import named_methods
from robust_saliency.pipeline.imports import Import
from robust_saliency.pipeline.readers import first_of_each, read_networks
from robust_saliency.pipeline.stages import origin_of_network
from robust_saliency.studies.batches import Evaluator, key_for
from robust_saliency.training import TrainedNetwork

# What is told of the maps in the file beside them.
ABOUT: dict[str, records.Form] = {
  **dict.fromkeys(("model", "network"), records.TEXT),
  "seed": records.COUNT,
  **dict.fromkeys(("classes", "methods"), records.Each(records.LIST, records.TEXT)),
}
RELATIVE = ("rise",)  # what matters is how a map differs from its smallest value
BACKGROUND = 100  # training images for Expected Gradients
CHUNK = 128  # images per model call
EXAMPLES = 10
FOLDER = "explanations"
EXPECTED_GRADIENTS = "expected_gradients"  # needs images besides its settings: in no registry


def explain_experiment(
  workdir: Path,
  methods: Sequence[str],
  *,
  models: Sequence[str] = (),
  examples: int = EXAMPLES,
  out: Path | None = None,
  data_dir: str | None = None,
  imports: Sequence[Import] = (),
) -> list[Path]:
  """Explains the true classes of test images by the networks of the experiment's first seed.

  Args:
    workdir: of a finished experiment.
    methods: attributions, or "expected_gradients", as the command takes them: NAME or
      NAME:SETTING=VALUE:...; what is left out has its default.
    models: the experiment's names of networks; none for all.
    examples: number of images, taken from each class in turn.
    out: where the files go; None for `workdir`/explanations.
    data_dir: where TFDS's prepared sets lie.
    imports: the files that have registered methods of the user's own.

  Returns:
    The panels' paths (PNG); beside each lie the SVG, a .json that names the methods, and an .npz
    with "images" [N, H, W, C] in
    [0, 1], "labels" [N], "predictions" [N], and a map [N, H, W, C] under each method's text.

  Raises:
    ValueError, TypeError: for a method, a setting, a network or a number that there is not.
    FileNotFoundError: if the directory holds no finished experiment, or the data set is missing.
    OSError: if nothing could be written to `out`; no map is computed then.
    DamagedFileError: likewise for a link to a folder in it.
  """
  # What is misspelt is said before networks are read.
  for settings in map(_settings, methods):
    if settings["name"] != EXPECTED_GRADIENTS:
      get_attribution(settings)
  if not methods:
    raise ValueError(f"methods must name at least one of {', '.join(methods_by_name())}")
  checks.count(examples=examples)
  dataset, networks = read_networks(workdir, data_dir=data_dir, imports=imports)
  trained = first_of_each(networks, models)
  chosen = from_each_class_in_turn(dataset.test, len(dataset.classes), examples)
  out = out or workdir / FOLDER
  folders.refuse_unwritable(out)
  folders.refuse_linked_folders(out)
  bound = {method: _bound(method, dataset) for method in methods}
  _refuse_by_tracing(trained, dataset, chosen, bound)
  paths = []
  for model, network in trained.items():
    arrays = _explain(network, dataset, chosen, bound)
    path = out / f"{files.slug(model)}.png"
    picture = draw(arrays, [*bound], dataset.classes)
    files.write_bytes(path, picture.png)
    files.write_bytes(path.with_suffix(".svg"), picture.svg)
    about = {
      **origin_of_network(workdir, model, network.seed),
      "dataset": dataset.name,
      "classes": dataset.classes,
      "methods": [*bound],
    }
    files.write_with_digest(path.with_suffix(".npz"), files.npz(arrays))
    files.write_with_digest(path.with_suffix(".json"), files.json_text(about).encode())
    paths.append(path)
  return paths


def read_explanation(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
  """What `explain_experiment` has left of a network.

  Args:
    path: of its .json; the .npz lies beside it.

  Returns:
    "model", "seed", "classes" and "methods", and the arrays.

  Raises:
    DamagedFileError: naming the file, for what is missing, not as it was written, or of other
      content.
  """
  about = records.read_record(path, ABOUT)
  archive = path.with_suffix(".npz")
  arrays = records.arrays_in(files.read_verified(archive, most=files.LARGEST_TEXT), archive)
  return about, arrays


def sizes(method: str, maps: np.ndarray) -> np.ndarray:
  """How much each pixel matters according to a method's maps: [N, H, W, C] to [N, H, W], >= 0."""
  shown = np.asarray(maps, np.float64).sum(axis=-1)
  if method.partition(":")[0] in RELATIVE:
    return shown - shown.min(axis=(1, 2), keepdims=True)
  return np.abs(shown)


def methods_by_name() -> tuple[str, ...]:
  """The names that the command takes; what was imported among them."""
  return (*attributions.ATTRIBUTIONS, EXPECTED_GRADIENTS)


def from_each_class_in_turn(split: Split, classes: int, examples: int) -> Split:
  """The first example of each class, then the second of each, until there are enough.

  Raises:
    ValueError: if the split has fewer examples.
  """
  if examples > len(split.y):
    raise ValueError(f"examples must be at most the test set's {len(split.y)}, got {examples}")
  y = np.asarray(split.y)
  rank = np.zeros(len(y), int)
  for label in range(classes):
    rank[y == label] = np.arange(np.count_nonzero(y == label))
  return split.take(np.lexsort((y, rank))[:examples])


def _refuse_by_tracing(
  trained: Mapping[str, TrainedNetwork],
  dataset: Dataset,
  chosen: Split,
  methods: Mapping[str, Attribution],
) -> None:
  """Raises for what a network cannot be explained by, before the maps of others are computed.

  The first one says so itself, and those of its architecture could be explained likewise.
  """
  of_each: dict[nn.Module, tuple[str, TrainedNetwork]] = {}
  for name, network in trained.items():
    of_each.setdefault(network.module, (name, network))
  for name, network in [*of_each.values()][1:]:
    for text, method in methods.items():
      with checks.naming(f"{text} of {name!r}"):
        explain = functools.partial(method, jax.random.key(0), network.logits_fn)
        jax.eval_shape(explain, dataset.to_float(chosen.x), np.asarray(chosen.y))


def _explain(
  network: TrainedNetwork, dataset: Dataset, chosen: Split, methods: Mapping[str, Attribution]
) -> dict[str, np.ndarray]:
  x = dataset.to_float(chosen.x)

  def explain(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> dict[str, Array]:
    arrays = {"predictions": jnp.argmax(logits_fn(x), axis=-1)}
    for text, method in methods.items():
      with checks.naming(text):
        arrays[text] = method(keys, logits_fn, x, y)
    return arrays

  key = key_for(jax.random.key(0), "explain")
  arrays = Evaluator(explain, batch_size=len(chosen.y))(network, key, x, np.asarray(chosen.y))
  low, high = dataset.bounds
  return {"images": (x - low) / (high - low), "labels": np.asarray(chosen.y), **arrays}


def _settings(method: str) -> dict[str, Any]:
  return named_methods.parse(method, methods_by_name(), what="method")


def _bound(method: str, dataset: Dataset) -> Attribution:
  """A method with its settings, on a data set's pixels."""
  settings = _settings(method)
  if settings["name"] != EXPECTED_GRADIENTS:
    bounded = "chunk_size" in settings_of(attributions.ATTRIBUTIONS[settings["name"]])
    chunks = {"chunk_size": CHUNK} if bounded else {}
    return get_attribution({**chunks, **settings}, bounds=dataset.bounds)
  if "background" in settings:
    raise ValueError("background of expected_gradients must be left out: training images are taken")
  if "attribution" in settings:
    checks.mapping(**{"the attribution inside another": settings["attribution"]})
    inner = get_attribution(settings["attribution"], bounds=dataset.bounds)
    settings = {**settings, "attribution": inner}
  background = dataset.to_float(dataset.train.x[:BACKGROUND])
  return bind(
    {EXPECTED_GRADIENTS: attributions.expected_gradients},
    {"background": background, "chunk_size": CHUNK, **settings},
    what="attribution",
  )


def draw(
  arrays: Mapping[str, np.ndarray], methods: Sequence[str], classes: Sequence[str]
) -> Picture:
  """The panel of a network's maps.

  Args:
    arrays: "images" [N, H, W, C] in [0, 1], "labels" [N], "predictions" [N], and each method's maps
      [N, H, W, C], as the command writes them.
    methods: what their maps were made by, as the command takes it.
    classes: the names of the classes.

  Raises:
    ValueError: for arrays that are not of these shapes, or methods that there are not.
  """
  images, maps_of = arrays["images"], {method: arrays[method] for method in methods}
  if images.ndim != 4 or not maps_of or {one.shape for one in maps_of.values()} != {images.shape}:
    raise ValueError(f"maps must be of the images' shape [N, H, W, C], {images.shape}")
  of_each = {arrays[name].shape for name in ("labels", "predictions")}
  if of_each != {images.shape[:1]}:
    raise ValueError(f"labels and predictions must be one for each of {len(images)} images")
  maps, names = [], []
  settings = [_settings(method) for method in methods]
  for method, own in zip(methods, settings, strict=True):
    shown = arrays[method].sum(axis=-1, dtype=np.float64)
    relative = own["name"] in RELATIVE
    maps.append(shown - shown.min(axis=(1, 2), keepdims=True) if relative else shown)
    names.append(f"{method}, less each map's smallest value" if relative else method)
  return saliency_panel.panel(
    "Attributions",
    model_styles(names),
    [is_signed(own) for own in settings],
    list(classes),
    arrays["images"],
    np.stack(maps),
    arrays["labels"],
    np.broadcast_to(arrays["predictions"], (len(methods), len(arrays["labels"]))),
    [saliency_panel.scale(row) for row in maps],
  )
