"""Explains the networks of a finished experiment by several methods.

  python -m robust_saliency.explain --workdir=runs/digits --methods=gradient,smoothgrad --out=maps

writes, for each network, MODEL.png and MODEL.svg, a panel with the images in the first row and the
maps of one method in each of the others, and MODEL.npz with the arrays.
"""

import robust_saliency.startup  # isort: skip  # noqa: F401
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jax import Array

from robust_saliency import attributions, command_line
from robust_saliency.attributions.registry import is_signed
from robust_saliency.core import Attribution, LogitsFn, checks, files, folders
from robust_saliency.core.binding import settings_of
from robust_saliency.data import Dataset, Split
from robust_saliency.drawing import saliency_panel
from robust_saliency.drawing.palette import model_styles
from robust_saliency.drawing.section import Picture
from robust_saliency.pipeline import first_of_each, read_networks
from robust_saliency.pipeline.imports import Import
from robust_saliency.studies.batches import Evaluator, key_for
from robust_saliency.studies.methods import attribution_on
from robust_saliency.training import TrainedNetwork

RELATIVE = ("rise",)  # what matters is how a map differs from its smallest value
BACKGROUND = 100  # training images for Expected Gradients
CHUNK = 128  # images per model call
EXAMPLES = 10

NAMES = flags.DEFINE_list(
  "methods",
  ["gradient", "smoothgrad"],
  f"attributions, of {', '.join((*attributions.ATTRIBUTIONS, 'expected_gradients'))}",
)


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
    methods: names of attributions, or "expected_gradients", with their default settings.
    models: the experiment's names of networks; none for all.
    examples: number of images, taken from each class in turn.
    out: where the files go; None for `workdir`/explanations.
    data_dir: where TFDS's prepared sets lie.
    imports: the files that have registered methods of the user's own.

  Returns:
    The panels' paths (PNG); beside each lies the SVG and an .npz with "images" [N, H, W, C] in
    [0, 1], "labels" [N], "predictions" [N], and a map [N, H, W, C] under each method's name.

  Raises:
    ValueError: for a method, a network or a number that there is not.
    FileNotFoundError: if the directory holds no finished experiment, or the data set is missing.
    OSError: if nothing could be written to `out`; no map is computed then.
  """
  for method in methods:
    checks.one_of(method, methods_by_name(), argument="methods")
  if not methods:
    raise ValueError(f"methods must name at least one of {', '.join(methods_by_name())}")
  checks.count(examples=examples)
  dataset, networks = read_networks(workdir, data_dir=data_dir, imports=imports)
  trained = first_of_each(networks, models)
  chosen = from_each_class_in_turn(dataset.test, len(dataset.classes), examples)
  out = out or workdir / "explanations"
  folders.refuse_unwritable(out)
  _refuse_by_tracing(trained, dataset, chosen, methods)
  paths = []
  for model, network in trained.items():
    arrays = _explain(network, dataset, chosen, methods)
    path = out / f"{files.slug(model)}.png"
    picture = _draw(arrays, methods, dataset)
    files.write_bytes(path, picture.png)
    files.write_bytes(path.with_suffix(".svg"), picture.svg)
    files.write_bytes(path.with_suffix(".npz"), files.npz(arrays))
    paths.append(path)
  return paths


def methods_by_name() -> tuple[str, ...]:
  """The names that the command takes; what was imported among them."""
  return (*attributions.ATTRIBUTIONS, "expected_gradients")


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
  trained: Mapping[str, TrainedNetwork], dataset: Dataset, chosen: Split, methods: Sequence[str]
) -> None:
  """Raises for what a network cannot be explained by, before the maps of others are computed.

  The first one says so itself, and those of its architecture could be explained likewise.
  """
  of_each: dict[nn.Module, tuple[str, TrainedNetwork]] = {}
  for name, network in trained.items():
    of_each.setdefault(network.module, (name, network))
  for name, network in [*of_each.values()][1:]:
    for method in methods:
      with checks.naming(f"{method} of {name!r}"):
        explain = functools.partial(_method(method, dataset), jax.random.key(0), network.logits_fn)
        jax.eval_shape(explain, dataset.to_float(chosen.x), np.asarray(chosen.y))


def _explain(
  network: TrainedNetwork, dataset: Dataset, chosen: Split, methods: Sequence[str]
) -> dict[str, np.ndarray]:
  x = dataset.to_float(chosen.x)

  def explain(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> dict[str, Array]:
    arrays = {"predictions": jnp.argmax(logits_fn(x), axis=-1)}
    for name in methods:
      arrays[name] = _method(name, dataset)(keys, logits_fn, x, y)
    return arrays

  key = key_for(jax.random.key(0), "explain")
  arrays = Evaluator(explain, batch_size=len(chosen.y))(network, key, x, np.asarray(chosen.y))
  low, high = dataset.bounds
  return {"images": (x - low) / (high - low), "labels": np.asarray(chosen.y), **arrays}


def _method(name: str, dataset: Dataset) -> Attribution:
  if name == "expected_gradients":
    background = dataset.to_float(dataset.train.x[:BACKGROUND])
    return functools.partial(
      attributions.expected_gradients, background=background, chunk_size=CHUNK
    )
  bounded = "chunk_size" in settings_of(attributions.ATTRIBUTIONS[name])
  return attribution_on(dataset, {"name": name, **({"chunk_size": CHUNK} if bounded else {})})


def _draw(arrays: Mapping[str, np.ndarray], methods: Sequence[str], dataset: Dataset) -> Picture:
  maps, names = [], []
  for name in methods:
    shown = arrays[name].sum(axis=-1, dtype=np.float64)
    relative = name in RELATIVE
    maps.append(shown - shown.min(axis=(1, 2), keepdims=True) if relative else shown)
    names.append(f"{name}, less each map's smallest value" if relative else name)
  return saliency_panel.panel(
    "Attributions",
    model_styles(names),
    [is_signed({"name": name}) for name in methods],
    list(dataset.classes),
    arrays["images"],
    np.stack(maps),
    arrays["labels"],
    np.broadcast_to(arrays["predictions"], (len(methods), len(arrays["labels"]))),
    [saliency_panel.scale(row) for row in maps],
  )


def main(argv: list[str]) -> None:
  """The command; its arguments come as flags."""
  del argv
  if not command_line.WORKDIR.value:
    command_line.stop("give --workdir=DIRECTORY of a finished experiment, e.g. runs/digits")
  command_line.use_all_cores()
  imports = command_line.imported()
  examples, out = command_line.EXAMPLES.value, command_line.OUT.value
  for path in explain_experiment(
    Path(command_line.WORKDIR.value),
    NAMES.value,
    models=command_line.MODELS.value,
    examples=EXAMPLES if examples is None else examples,
    out=Path(out) if out else None,
    data_dir=command_line.DATA_DIR.value,
    imports=imports,
  ):
    print(os.path.relpath(path))


if __name__ == "__main__":
  command_line.run(main)
