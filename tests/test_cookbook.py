"""The cookbook's code, as it stands."""

import numpy as np
import pytest

from robust_saliency.attacks import pgd
from robust_saliency.attributions import gradient, smoothgrad
from robust_saliency.objectives import TERMS
from tests.markdown import examples_in, run_examples


@pytest.fixture(autouse=True)
def _own_terms_go():
  before = dict(TERMS)
  yield
  TERMS.clear()
  TERMS.update(before)


@pytest.mark.slow
def test_every_entry_runs_and_does_what_it_says(request):
  path = request.config.rootpath / "docs" / "cookbook.md"
  assert all(len(example.splitlines()) <= 20 for example in examples_in(path))
  names = run_examples(path)
  x = names["x"]
  for name in ("lime", "rise", "occluded", "pixel_maps", "cam", "smooth", "path"):
    assert names[name].shape == x.shape
    assert np.isfinite(names[name]).all()
  assert set(names["evaluation"].verdicts) == {"square"}
  assert names["reached"] == 1
  assert names["losses"][-1] < names["losses"][0]
  assert set(names["of_corners"].verdicts) == {"corner"}
  # The network of rows is linear: hiding a column changes the logit by its gradient's share.
  np.testing.assert_allclose(names["columns"], names["hidden"], rtol=1e-3, atol=1e-4)
  assert names["maps_of_signals"].shape == names["signals"].shape
  for moved, still, radius in (
    ("x_binary", "x", 0.1),
    ("signals_adv", "signals", 0.05),
    ("x_segment", "x", 0.1),
    ("x_colour", "normalised", 8 / 255 / names["std"]),
    ("photos_adv", "photos", 4 / 255),
    ("x_cooled", "x", 0.1),
    ("rows_adv", "rows", names["radius"]),
  ):
    distance = abs(names[moved] - names[still])
    assert (distance <= radius + 1e-5).all()
    assert distance.max() > 0.01
  for name in ("deleted", "inserted", "infidelity", "sensitivity"):
    assert names[name].shape == (4,)
  assert (names["deleted"] < names["inserted"]).all()
  assert names["ranks"].shape == (4, 1)
  assert names["photo_maps"].shape == names["photos"].shape
  at_once = pgd(names["key"], names["logits_fn"], x, names["y"], epsilon=0.1, steps=5)
  right = (names["logits_fn"](at_once).argmax(axis=1) == names["y"]).sum()
  assert (names["seen"], names["withstood"]) == (len(x), right)
  whole = smoothgrad(names["key"], names["logits_fn"], x, names["y"], samples=5)
  np.testing.assert_allclose(names["in_batches"], whole, rtol=1e-5, atol=1e-6)
  assert cosine(names, names["student"]) > cosine(names, names["network"].untrained(0)) + 0.3


def cosine(names, network):
  """The mean cosine of a network's gradients with the maps that it was taught."""
  images, labels = names["images"], names["labels"]
  slopes = gradient(names["key"], network.logits_fn, images, labels).reshape(len(labels), -1)
  wanted = names["of_teacher"].reshape(len(labels), -1)
  sizes = np.linalg.norm(slopes, axis=1) * np.linalg.norm(wanted, axis=1)
  return float(np.mean((slopes * wanted).sum(axis=1) / sizes))
