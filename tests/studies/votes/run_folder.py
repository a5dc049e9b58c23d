"""A run's folder that was never run: maps of digits that explain might have left, and images."""

import numpy as np
from sklearn.datasets import load_digits

from robust_saliency.core import files
from robust_saliency.report.findings import Findings, result_files
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.training import training_curves

METHODS = ("normlime", "lime:samples=9", "smoothgrad", "vargrad")
MODELS = ("undefended (4 epochs)", "GR(1/K) (4 epochs)", "distilled (4 epochs)")
CLASSES = tuple(map(str, range(10)))


def digits(each):
  """The first images of each class, in [0, 1], [10 each, 8, 8, 1], and their labels."""
  images, labels = load_digits(return_X_y=True)
  kept = np.concatenate([np.flatnonzero(labels == label)[:each] for label in range(10)])
  return images[kept].reshape(-1, 8, 8, 1) / 16, labels[kept]


def explain(folder, model="cnn", methods=METHODS, each=2, network="digest"):
  """Leaves what the command explain would."""
  images, labels = digits(each)
  random = np.random.default_rng(0)
  maps = {
    method: images * (1 + random.standard_normal(images.shape) * (i + 1) / 4)
    for i, method in enumerate(methods)
  }
  arrays = {"images": images, "labels": labels, "predictions": labels, **maps}
  about = {"model": model, "seed": 0, "network": network, "classes": CLASSES, "methods": methods}
  path = folder / "explanations" / f"{files.slug(model)}.json"
  files.write_with_digest(path.with_suffix(".npz"), files.npz(arrays))
  files.write_with_digest(path, files.json_text(about).encode())
  return folder


def targeted(models=MODELS, each=1, classes=10, missed=()):
  """A targeted study whose every image is taken for its target, but for those of some classes."""
  images, labels = digits(each)
  kept = labels < classes
  images, labels = images[kept], labels[kept]
  targets = np.arange(classes)
  led = (images[:, None] * 0.6 + 0.4 * digits(1)[0][None, :classes])[None].repeat(len(models), 0)
  shape = (len(models), len(models), 1, len(labels), classes)
  predictions = np.broadcast_to(targets, shape).copy()
  predictions[0, 0, 0, np.isin(labels, missed)] = labels[np.isin(labels, missed), None]
  pixels = ("height", "width", "channel")
  layout = Layout(
    {
      "adversarial": ("model", "example", "class", *pixels),
      "predictions": ("model", "reader", "seed", "example", "class"),
      **dict.fromkeys(("labels", "positions"), ("example",)),
      "targets": ("class",),
    },
    {"model": models, "reader": models, "seed": (0,), "class": CLASSES[:classes]},
  )
  arrays = {
    "adversarial": np.rint(255 * led).astype(np.uint8),
    "predictions": predictions,
    "labels": labels,
    "positions": np.arange(len(labels)),
    "targets": targets,
  }
  return Result("images for people", "targeted", layout, arrays)


def saliency(name="gradients", models=("plain", "robust"), each=1):
  """A saliency study of two networks."""
  images, labels = digits(each)
  random = np.random.default_rng(1)
  shape = (len(models), *images.shape)
  image = ("example", "height", "width", "channel")
  layout = Layout(
    {"maps": ("model", *image), "images": image, "labels": ("example",)},
    {"model": models, "seed": (0,)},
  )
  arrays = {
    "maps": random.standard_normal(shape).astype(np.float32), "images": images, "labels": labels
  }  # fmt: skip
  return Result(name, "saliency", layout, arrays, {"classes": list(CLASSES)})


def with_results(folder, results, claims=()):
  """A report's data of these results, without its page."""
  findings = Findings(
    title="t", command="c", summary="s", dataset="mnist", results=list(results),
    curves=training_curves({}, [0]), run={"config": {}},
  )  # fmt: skip
  stems = files.unique_slugs([result.name for result in results])
  kept = dict(zip(stems, results, strict=True)) | {"training": findings.curves}
  for stem, result in kept.items():
    for path, content in result_files(result, stem, small=False).items():
      files.write_bytes(folder / path, content)
  files.write_bytes(folder / findings.run_file(stems)[0], findings.run_file(stems)[1])
  return folder
