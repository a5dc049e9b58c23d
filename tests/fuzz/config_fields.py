"""Which kind each field of a config is of, and the configs whose fields are looked at.

By hand: a field that is not here fails `test_every_field_has_its_kind`.
"""

import contextlib
import copy
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import jax.numpy as jnp

from robust_saliency.attacks import ATTACKS
from robust_saliency.attributions import ATTRIBUTIONS
from robust_saliency.command_line import load_config
from robust_saliency.core.binding import settings_of
from robust_saliency.objectives import TERMS, register
from robust_saliency.pipeline.settings import plain_config

EXPERIMENTS = Path(__file__).parents[2] / "experiments"

# The last fields of a path -> kind, and the types that it allows all the same. The longest counts;
# "*" stands for a name that the config's author has given.
KINDS: dict[str, tuple[str, ...]] = {
  "title": ("text",),
  "summary": ("text", "none"),
  "scale": ("text", "none"),
  "label": ("text",),
  "dataset": ("full mapping",),
  "dataset.name": ("name",),
  "dataset.bounds": ("bounds", "none"),
  "dataset.validation": ("count or zero",),
  "seeds": ("seeds",),
  "models.*.seeds": ("seeds", "none"),
  "studies.*.seeds": ("seeds", "none"),
  "models": ("full mapping",),
  "models.*": ("full mapping",),
  "claims": ("table",),
  "published": ("table", "empty list"),
  # A model.
  "architecture": ("full mapping",),
  "architecture.name": ("name",),
  "num_classes": ("count",),
  "batch_norm": ("flag",),
  "hidden": ("layer sizes", "empty list"),
  "kernel_init": ("name",),
  "dropout_rate": ("fraction",),
  "objective": ("full mapping",),
  "objective.*": ("mapping",),
  "weight": ("number >= 0",),
  "temperature": ("number > 0",),
  "scaling": ("name",),
  "penalty_mode": ("name",),
  "attack_mode": ("name",),
  "attack_labels": ("name",),
  "ramp_steps": ("count",),
  "constant_labels": ("flag",),
  "output": ("name",),
  "absolute": ("flag",),
  "threshold": ("number >= 0", "none"),
  "projections": ("count",),
  "optimizer": ("full mapping",),
  "optimizer.name": ("name",),
  "learning_rate": ("number > 0",),
  "b1": ("fraction",),
  "b2": ("fraction",),
  "eps": ("number >= 0",),
  "epsilon_hat": ("flag",),
  "momentum": ("fraction",),
  "nesterov": ("flag",),
  "weight_decay": ("number >= 0", "none"),
  "schedule": ("full mapping", "none"),
  "schedule.name": ("name",),
  "schedule.epochs": ("counts", "empty list", "list of equals"),  # equal ones count twice
  "factor": ("number > 0",),
  "batch_size": ("count",),
  "epochs": ("count",),
  "steps": ("count",),
  "shuffle": ("flag",),
  "augmentation": ("mapping", "none"),
  "padding": ("count or zero",),
  "flip_probability": ("fraction",),
  "averaging": ("fraction", "none"),
  "early_stopping": ("mapping", "none"),
  "early_stopping.attack": ("full mapping", "none"),
  "every": ("count",),
  "first": ("count or zero",),
  "patience": ("count", "none"),
  "teacher": ("name",),
  "maps": ("full mapping",),
  "maps.*": ("full mapping",),
  "maps.*.study": ("name",),
  "maps.*.permuted": ("fraction",),
  "maps.*.threshold": ("number >= 0", "none"),
  "maps.*.seed": ("count or zero",),
  "probe": ("mapping", "none"),
  "source": ("name", "none"),
  "studies.*.source": ("name",),
  "studies.*.split": ("name",),
  "seed_offset": ("count or zero",),
  "choices": ("mapping", "none"),
  "choices.*": ("name",),
  "snapshots": ("count", "none"),
  "steps_per_call": ("count", "none"),
  "trainer": ("name",),
  "trainer_settings": ("full mapping", "none"),
  "log_every": ("count",),
  "checkpoint_every": ("count",),
  # Studies.
  "studies": ("mapping",),
  "studies.*": ("full mapping",),
  "kind": ("name",),
  "studies.*.models": ("names", "none"),
  "examples": ("count", "none"),
  "probe.examples": ("count",),
  "probe.white_box": ("number >= 0", "none"),
  "per_class": ("count",),
  "probed": ("count or zero",),
  "frames": ("counts", "none", "empty list"),
  "reference": ("name",),
  "families": ("full mapping",),
  "families.*": ("full mapping",),
  "families.*.*": ("number >= 0",),
  "studies.*.readers": ("names", "none"),
  "floor": ("number > 0",),
  "drop": ("number > 0",),
  "studies.*.loss": ("number > 0",),
  "studies.*.keep": ("fraction",),
  "standard_errors": ("number >= 0", "none"),
  "preferred": ("mapping",),
  "preferred.*": ("number >= 0",),
  "overlap": ("full mapping", "none"),
  "overlap.models": ("names",),
  "precision": ("name",),
  "attacks": ("full mapping",),
  "attacks.*": ("full mapping",),
  "attack": ("full mapping",),
  "attack.name": ("name",),
  "attacks.*.name": ("name",),
  "epsilons": ("radii",),
  "epsilon": ("number >= 0",),
  "version": ("name",),
  "targets": ("count",),
  "queries": ("count",),
  "norm": ("norm",),
  "step_size": ("number >= 0", "none"),
  "restarts": ("count",),
  "random_start": ("flag",),
  "start_deviation": ("number > 0", "none"),
  "loss": ("name or function",),
  "keep": ("name",),
  "targeted": ("flag",),
  "bounds": ("bounds",),
  "unroll": ("unroll", "negative", "two", "none"),
  "chunk_size": ("count", "none"),
  "target_offset": ("whole number",),
  "theta": ("number",),
  "gamma": ("number >= 0",),
  "attribution": ("full mapping",),
  "attribution.name": ("name",),
  "score": ("name or function",),
  "samples": ("count",),
  "noise_level": ("number >= 0",),
  "include_clean": ("flag",),
  "clip": ("flag",),
}

# Names of one's own stand below these.
_OWN_NAMES = {"models", "studies", "objective", "attacks", "families", "preferred", "choices",
              "maps"}  # fmt: skip

_MORE_OF_A_MODEL = {
  "shuffle": True,
  "augmentation": {"padding": 1, "flip_probability": 0.5},
  "averaging": 0.9,
  "early_stopping": {"attack": {"name": "fgsm", "epsilon": 0.1}, "every": 1, "first": 0,
                     "patience": 3, "batch_size": 100},
  "probe": {"every": 10, "examples": 50, "source": "gradient", "epsilon": 0.1, "white_box": 0.1},
  "seed_offset": 0,
  "snapshots": 2,
  "steps_per_call": 2,
  "trainer": "classifier",
}  # fmt: skip
_MORE_OF_A_STUDY: dict[str, dict[str, Any]] = {
  "accuracy": {"models": ["standard"], "examples": 50, "batch_size": 50},
  "robustness": {"batch_size": 50},
  "transfer": {"batch_size": 50},
  "gradients": {"batch_size": 50},
  "saliency": {"per_class": 1},
}


@functools.cache
def digits() -> dict[str, Any]:
  """experiments/digits.py:smoke with fields that it leaves at their defaults."""
  config = plain_config(load_config(f"{EXPERIMENTS / 'digits.py'}:smoke"))
  config["dataset"] |= {"bounds": [0.0, 1.0], "validation": 100}
  config["published"] = None
  standard, pgd = config["models"]["standard"], config["models"]["pgd"]
  standard |= copy.deepcopy(_MORE_OF_A_MODEL)
  standard["architecture"] |= {"num_classes": 10, "batch_norm": True}
  schedule = {"name": "step_decay", "epochs": [1], "factor": 0.1}
  standard["optimizer"] |= {"b1": 0.9, "b2": 0.99, "eps": 1e-8, "weight_decay": 0.0,
                            "schedule": schedule}  # fmt: skip
  pgd["objective"] |= {
    "jacobian_penalty": {"weight": 0.01, "scaling": "batch_root", "output": "logits",
                         "penalty_mode": "training"},
    "projected_jacobian_penalty": {"weight": 0.01, "projections": 2},
    "trades": {"weight": 0.1, "attack_mode": "evaluation",
               "attack": {"name": "pgd", "epsilon": 0.1, "steps": 1, "start_deviation": 0.001}},
  }  # fmt: skip
  pgd["architecture"] = {"name": "mlp", "hidden": [8]}
  pgd["optimizer"] = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True}
  for settings in config["studies"].values():
    settings |= copy.deepcopy(_MORE_OF_A_STUDY.get(settings["kind"], {}))
  saliency = config["studies"]["saliency"]
  saliency["attribution"] = {"name": "smoothgrad", "samples": 2, "label": "SmoothGrad",
                             "attribution": {"name": "gradient"}}  # fmt: skip
  config = completed(config)
  del config["models"]["pgd"]["objective"]["trades"]["attack"]["loss"]  # the term gives it
  return config


@functools.cache
def ross() -> dict[str, Any]:
  """experiments/ross2018.py:smoke,main."""
  config = plain_config(load_config(f"{EXPERIMENTS / 'ross2018.py'}:smoke,main"))
  for settings in config["studies"].values():
    if settings["kind"] == "evaluation":
      settings |= {"norm": "linf", "probed": 5, "batch_size": 50}
      settings["attacks"]["autoattack"]["version"] = "standard"
    if settings["kind"] == "selection":
      settings |= {"examples": 50, "batch_size": 50}
  config = completed(config)
  for settings in config["studies"].values():
    if settings["kind"] == "targeted":  # gives its attack the targets
      for field in ("targeted", "target_offset"):
        settings["attack"].pop(field, None)
  return config


@functools.cache
def maps() -> dict[str, Any]:
  """A teacher, its maps, and a student with them, by a term of its own; see `own_terms`."""
  plain = {
    "architecture": {"name": "mlp", "hidden": [8]},
    "objective": {"cross_entropy": {}},
    "optimizer": {"name": "sgd", "learning_rate": 0.25},
    "batch_size": 50,
    "steps": 2,
  }
  of_teacher = {
    "kind": "target_maps",
    "source": "teacher",
    "teacher": "taught",
    "attribution": {"name": "smoothgrad", "samples": 2, "attribution": {"name": "gradient"}},
    "split": "train",
    "per_class": 1,
    "batch_size": 700,
  }
  own = {"map": {"study": "of teacher", "permuted": 0.5, "threshold": 1.0, "seed": 0}}
  student = {**plain, "objective": {"towards": {"weight": 0.5}}, "maps": own}
  return completed(
    {
      "title": "Maps",
      "dataset": {"name": "digits"},
      "seeds": [0],
      "models": {"taught": plain, "student": student},
      "studies": {"of teacher": of_teacher, "edges": {"kind": "target_maps", "source": "edges"}},
    }
  )


@contextlib.contextmanager
def own_terms() -> Iterator[None]:
  """With the term that the config `maps` has, and no other test."""

  def towards(passes: Any) -> Any:
    slopes = passes.clean().input_gradient(lambda logits: logits[:, 0])
    return -jnp.sum(slopes * passes.batch.targets["map"], axis=(1, 2, 3))

  with mock.patch.dict(TERMS):
    register("towards", towards, title="Towards the map", needs={"map": "map"})
    yield


CONFIGS = {"digits": digits, "ross2018": ross, "maps": maps}


def completed(node: Any, field: str = "") -> Any:
  """The config with the settings that its attacks and attributions have by default."""
  if isinstance(node, list):
    return [completed(one) for one in node]
  if not isinstance(node, Mapping):
    return node
  node = {name: completed(value, name) for name, value in node.items()}
  function = {**ATTACKS, **ATTRIBUTIONS}.get(str(node.get("name")))
  if function is None or field in ("dataset", "optimizer", "architecture"):
    return node
  defaults = {
    name: list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
    for name, parameter in settings_of(function).items()
    if isinstance(parameter.default, (bool, int, float, str, tuple))
  }
  return {**defaults, **node}


def paths(node: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
  """Every field, at every depth."""
  for name, value in node.items():
    yield (*before, name)
    if isinstance(value, Mapping):
      yield from paths(value, (*before, name))


def pattern(path: tuple[str, ...]) -> list[str]:
  """The path with "*" for names of one's own.

  >>> pattern(("models", "pgd", "objective", "adversarial", "weight"))
  ['models', '*', 'objective', '*', 'weight']
  """
  before = ("", "", *path)
  return [
    "*" if before[i + 1] in _OWN_NAMES or before[i] == "families" else name
    for i, name in enumerate(path)
  ]


def kind_of(path: tuple[str, ...]) -> tuple[str, ...]:
  """The kind of a field, and the types that it allows.

  >>> kind_of(("studies", "masking", "attacks", "fgsm", "name"))
  ('name',)
  """
  names = pattern(path)
  for start in range(len(names)):
    found = KINDS.get(".".join(names[start:]))
    if found is not None:
      return found
  raise KeyError(f"say in KINDS of {__name__} what {'.'.join(path)} is")
