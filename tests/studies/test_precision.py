"""Whatever looks at a network after training looks at it in float32 products."""

import contextlib
import dataclasses

import jax
import linear
import numpy as np
import pytest
from jax.extend.core import primitives

from robust_saliency import models
from robust_saliency.studies import read_study, run_study
from robust_saliency.training.validation import validation_accuracy

KEY = jax.random.key(0)
FGSM = {"name": "fgsm"}
STUDIES = {
  "accuracy": {},
  "robustness": {"attacks": {"it": FGSM, "far": {"name": "deepfool"}}, "epsilons": (0.05,)},
  "transfer": {"attack": FGSM, "epsilons": (0.05,)},
  "selection": {
    "families": {"best": {"second": 1.0}},
    "reference": "first",
    "source": "first",
    "attack": FGSM,
    "epsilon": 0.05,
  },
  "targeted": {"attack": {"name": "tgsm", "epsilon": 0.05}},
  "gradients": {},
  "saliency": {"attribution": {"name": "gradient"}},
  "target_maps": {"teacher": "first", "attribution": {"name": "gradient"}},
  "map_quality": {"attribution": {"name": "gradient"}},
}
FULL = (jax.lax.Precision.HIGHEST,) * 2


@contextlib.contextmanager
def products(monkeypatch):
  """The precision of every matrix product and convolution that is traced meanwhile."""
  seen = []
  with monkeypatch.context() as patch:
    for primitive in (primitives.dot_general_p, primitives.conv_general_dilated_p):

      def bind(*args, bind=primitive.bind, **parameters):
        seen.append(parameters["precision"])
        return bind(*args, **parameters)

      patch.setattr(primitive, "bind", bind)
    yield seen


def run(settings, networks, dataset, directory):
  study = read_study("s", settings)
  networks = {name: networks[name] for name in study.networks(networks)}
  run_study("s", study, networks, dataset, key=KEY, seeds=(0, 2), directory=directory)


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("kind", STUDIES)
def test_every_product_of_a_study_is_in_float32(kind, networks, dataset, monkeypatch, tmp_path):
  dataset = dataclasses.replace(dataset, validation=dataset.test)
  # Each product of a network's that a user's machine would round to TF32 or bfloat16.
  with products(monkeypatch) as seen:
    run({"kind": kind, **STUDIES[kind]}, networks, dataset, tmp_path)
  assert seen
  assert set(seen) == {FULL}


def test_a_precision_of_the_users_own_is_kept(networks, dataset, monkeypatch, tmp_path):
  with products(monkeypatch) as seen, jax.default_matmul_precision("bfloat16"):
    run({"kind": "accuracy"}, networks, dataset, tmp_path)
  assert set(seen) == {(jax.lax.Precision.DEFAULT,) * 2}


@pytest.mark.parametrize("attack", [None, {"name": "fgsm", "epsilon": 0.05}], ids=["clean", "fgsm"])
def test_every_product_of_a_validation_is_in_float32(attack, dataset, monkeypatch):
  dataset = dataclasses.replace(dataset, validation=dataset.test)
  network = linear.network(0)
  measure = validation_accuracy(models.apply_fn(network.module), dataset, attack=attack)
  with products(monkeypatch) as seen:
    accuracy = measure(network.variables)
  right = linear.margins(dataset.test.x, dataset.test.y, 0)
  loss = 0.0 if attack is None else 0.05 * np.abs(linear.direction(0)).sum()
  assert accuracy == pytest.approx(np.mean(right > loss))
  assert set(seen) == {FULL}
