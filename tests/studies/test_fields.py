"""Whatever a study's field is given, the check before training ends in a sentence that names it."""

import copy
import math

import pytest

from robust_saliency import models
from robust_saliency.core import checks
from robust_saliency.data import hold_out, load
from robust_saliency.pipeline import Experiment
from robust_saliency.studies import STUDIES, read_study
from robust_saliency.studies.selection import chosen_by

NAMES = ("standard", "pgd", "gradient", "both")
FGSM = {"name": "fgsm"}
STUDY = {
  "accuracy": {"models": ["pgd"], "examples": 5, "batch_size": 5},
  "batch_statistics": {"models": ["pgd"], "epsilon": 0.1, "examples": 5,
                       "validation_examples": 5, "batches": 2, "batch_size": 5},
  "robustness": {"models": ["pgd"], "attacks": {"f": FGSM}, "epsilons": [0.1], "examples": 5,
                 "batch_size": 5},
  "transfer": {"models": [*NAMES[1:]], "attack": FGSM, "epsilons": [0.1], "examples": 5,
               "batch_size": 5, "overlap": {"models": [*NAMES[1:]], "epsilon": 0.1}},
  "gradients": {"models": ["pgd"], "examples": 5, "batch_size": 5},
  "evaluation": {"models": ["pgd"], "attacks": {"f": FGSM}, "epsilon": 0.1, "norm": "linf",
                 "examples": 5, "batch_size": 5, "probed": 3},
  "saliency": {"models": ["pgd"], "attribution": {"name": "gradient"}, "per_class": 1},
  "map_quality": {"models": ["pgd"], "attribution": {"name": "gradient"}, "examples": 5,
                  "batch_size": 5},
  "linear_robustness": {"models": ["pgd"], "norm": "l2", "attack": {"name": "fmn", "steps": 2},
                        "examples": 5, "batch_size": 5},
  "map_agreement": {"models": ["pgd"], "references": ["both"], "attribution": {"name": "gradient"},
                    "examples": 5, "batch_size": 5},
  "boundary": {"models": ["pgd"], "attack": {"name": "fgsm", "epsilon": 0.1}, "attacked": 0,
               "span": 0.5, "resolution": 11, "batch_size": 5},
  "roar": {"models": ["pgd"], "maps": {"g": {"name": "gradient", "smoothing": 1.0}},
           "retraining": {"architecture": {"name": "mlp"}, "objective": {"cross_entropy": {}},
                          "optimizer": {"name": "sgd", "learning_rate": 0.1}, "batch_size": 5,
                          "steps": 1},
           "fractions": [0.5], "protocols": ["ROAR", "KAR"], "controls": ["random"],
           "mask_only": {"g": ["pgd"]}, "fill": "blur", "labels": "true", "noise": 0.1,
           "retrainings": 1, "train_examples": 5, "scored": "test", "scored_examples": 5,
           "batch_size": 5},
  "class_maps": {"models": ["pgd"], "maps": {"r": {"rule": "normlime", "blank": "counted",
                                                   "evidence": "positive",
                                                   "local": {"alpha": 0.5}},
                                             "g": {"name": "gradient"},
                                             "c": {"control": "variance"}},
                 "segments": {"name": "grid", "cells": 2}, "local": {"samples": 5},
                 "labels": "true", "split": "test", "of_each_class": 100, "sizes": [1, 2],
                 "draws": 2, "batch_size": 5},
  "manifold": {"autoencoder": "both", "standards": ["standard"],
               "panels": {"a": ["pgd"], "b": ["gradient"]}, "compared": {"a": "b"},
               "attack": {"name": "fgsm", "epsilon": 0.1}, "components": 2, "examples": 5,
               "tangent_examples": 2, "batch_size": 5},
  "matched": {"models": [*NAMES], "along": ["standard", "pgd"],
              "attacks": {"f": {"name": "fgsm", "epsilon": 0.1}}, "examples": 5, "batch_size": 5},
  "target_maps": {"source": "teacher", "teacher": "pgd", "attribution": {"name": "gradient"},
                  "split": "train", "per_class": 1, "batch_size": 5},
  "targeted": {"models": ["pgd"], "attack": {"name": "tgsm", "epsilon": 0.1, "steps": 3},
               "readers": ["both"], "per_class": 1, "batch_size": 5, "frames": [0, 1]},
  "response": {"families": {"g": {"pgd": 1.0, "both": 2.0}}, "source": "standard", "attack": FGSM,
               "epsilon": 0.1, "drop": 0.1, "loss": 0.1, "examples": 5, "batch_size": 5},
  "selection": {"families": {"g": {"pgd": 1.0, "both": 2.0}}, "reference": "standard",
                "source": "standard", "attack": FGSM, "epsilon": 0.1, "keep": 0.9, "examples": 5,
                "batch_size": 5},
}  # fmt: skip
NONSENSE = [None, "", "abc", [], {}, -1, 1.5, True, 1e30, math.nan, math.inf, 10**400, "0.1"]
REPEATED = [["a", "a"], [None], {"a": 1}]

# Large radii are no more than no ball, and None is what a field that may be left out means.
ACCEPTED = {
  "epsilon": (1.5, 1e30),
  "attack.epsilon": (1.5, 1e30),
  "attacks.f.epsilon": (1.5, 1e30),
  "families.g.pgd": (1.5, 1e30),
  "families.g.both": (1.5, 1e30),
  "drop": (1.5, 1e30),
  "loss": (1.5, 1e30),
  "models": (None,),
  "readers": (None,),
  "examples": (None,),
  "validation_examples": (None,),
  "train_examples": (None,),
  "scored_examples": (None,),
  "span": (1.5, 1e30),
  "noise": (1.5, 1e30),
  "fill": (-1, 1.5, 1e30),
  "mask_only": ({},),
  "compared": ({},),
  "maps.g.smoothing": (1.5,),
  "retraining.objective.cross_entropy": ({},),
  "retraining.optimizer.learning_rate": (1.5, 1e30),
  "frames": (None,),
  "overlap": (None,),
  "of_each_class": (None,),
  "segments.cells": (None,),
  "local": ({},),
  "maps.r.local": ({},),
  "maps.r.local.alpha": (1.5, 1e30),
}


def check_study(settings, modules, dataset):
  study = read_study("s", settings)
  if study.kind == "boundary":  # of points in the plane
    dataset = load("kim_toy")
    modules = {name: models.build("mlp", hidden=(4,), num_classes=2) for name in modules}
  if study.kind == "manifold":
    modules = {**modules, "both": models.VAEGAN((8, 8, 1))}
  chosen_by({"s": study}, modules)
  names = study.networks(modules)
  for name in names:
    checks.one_of(name, modules, argument="model of a study")
  study.check({name: modules[name] for name in names}, dataset)


def paths(settings, before=()):
  for field, value in settings.items():
    yield (*before, field)
    if isinstance(value, dict):
      yield from paths(value, (*before, field))


def with_value(kind, path, value):
  settings = copy.deepcopy({"kind": kind, **STUDY[kind]})
  node = settings
  for field in path[:-1]:
    node = node[field]
  node[path[-1]] = value
  return settings


@pytest.fixture(scope="module")
def digits():
  return hold_out(load("digits"), 100)


@pytest.fixture(scope="module")
def modules():
  return {name: models.build("mlp", hidden=(4,), num_classes=10) for name in NAMES}


def test_every_kind_of_study_is_here():
  assert set(STUDY) == set(STUDIES)


CASES = [(kind, path) for kind in STUDY for path in paths({"kind": kind, **STUDY[kind]})]


@pytest.mark.parametrize(("kind", "path"), CASES, ids=[f"{k}-{'.'.join(p)}" for k, p in CASES])
def test_nonsense_is_refused_in_a_sentence_that_names_the_field(kind, path, digits, modules):
  for value in (*NONSENSE, *REPEATED):
    settings = with_value(kind, path, value)
    if any(value is one or value == one for one in ACCEPTED.get(".".join(path), ())):
      check_study(settings, modules, digits)
      continue
    with pytest.raises((ValueError, TypeError)) as refused:
      check_study(settings, modules, digits)
    sentence = str(refused.value)
    unknown = f"model of a study must be one of {', '.join(NAMES)}; got {value!r}"
    assert path[0] in sentence or path[-1] in sentence or sentence == unknown, (value, sentence)
    assert len(sentence) < 800


@pytest.mark.parametrize("kind", [kind for kind in STUDY if "models" not in STUDY[kind]])
def test_a_study_whose_networks_other_fields_name_takes_no_models(kind, digits, modules):
  with pytest.raises(ValueError, match=r"models of .* leave it out"):
    check_study({"kind": kind, **STUDY[kind], "models": ["pgd"]}, modules, digits)


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize("kind", STUDY)
def test_each_field_that_a_study_needs_is_asked_for_by_name(kind, digits, modules):
  optional = ("models", "examples", "batch_size", "overlap", "norm", "probed", "per_class", "keep",
              "frames", "drop", "loss", "readers", "validation_examples", "batches", "mask_only",
              "fill", "labels", "noise", "retrainings", "train_examples", "scored",
              "scored_examples", "fractions", "protocols", "controls", "span", "resolution",
              "attacked", "split", "segments", "local", "of_each_class", "sizes", "draws",
              "compared", "components", "tangent_examples")  # fmt: skip
  check_study({"kind": kind, **STUDY[kind]}, modules, digits)
  for field in ("kind", *STUDY[kind]):
    settings = {"kind": kind, **STUDY[kind]}
    del settings[field]
    if field in optional or (kind, field) == ("target_maps", "source"):
      check_study(settings, modules, digits)
      continue
    needed = f"needs? the field {field!r}"
    with pytest.raises(ValueError, match=needed):
      check_study(settings, modules, digits)


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"s": {"kind": "robustness", "epsilons": (0.1,)}}, "studies.s needs the field 'attacks'"),
    (
      {"s": {"kind": "accuracy", "examples": "all"}},
      "studies.s.examples must be a whole number, got 'all'",
    ),
    ({"s": {"examples": 5}}, "studies.s needs the field 'kind', one of selection, response"),
    ({"s": "abc"}, "config.studies.s must be fields with values, got 'abc'"),
    ([], "config.studies must be fields with values"),
  ],
)
def test_an_experiment_names_the_study_too(change, sentence, tmp_path):
  model = {
    "architecture": {"name": "mlp", "hidden": ()},
    "objective": {"cross_entropy": {}},
    "optimizer": {"name": "sgd", "learning_rate": 0.1},
    "batch_size": 100,
    "steps": 1,
  }
  config = {"title": "T", "dataset": {"name": "digits"}, "seeds": (0,), "models": {"m": model}}
  with pytest.raises((ValueError, TypeError), match=sentence):
    Experiment({**config, "studies": change}, tmp_path)
