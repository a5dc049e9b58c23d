"""Targeted studies of linear networks with three classes, which a few lines of NumPy attack."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import attacks, models
from robust_saliency.data import Dataset, Split
from robust_saliency.results.claims import judge_claim, read_claims
from robust_saliency.studies.study import run_study
from robust_saliency.studies.targeted import OUTSIDERS, Targeted
from robust_saliency.studies.targeted.aimed import aimed
from robust_saliency.studies.targeted.study import to_bytes
from robust_saliency.training import TrainedNetwork

KEY = jax.random.key(0)
BOUNDS = (-0.5, 0.5)
LABELS = np.array([2, 0, 1, 0, 2, 0, 1], np.int32)
TGSM = {"name": "tgsm", "epsilon": 0.07, "steps": 4, "label": "Iterated TGSM"}
FRAMES = (0, 1, 4)


def weights(seed):
  return np.random.default_rng(seed).normal(size=(4, 3)).astype(np.float32)


def network(seed):
  layer = {"kernel": weights(seed), "bias": np.zeros(3, np.float32)}
  variables = {"params": {"Dense_0": layer}, "batch_stats": {}}
  return TrainedNetwork(models.build("mlp", hidden=(), num_classes=3), variables, seed)


@pytest.fixture(scope="module")
def three_classes():
  x = np.random.default_rng(3).uniform(-0.3, 0.3, (7, 2, 2, 1)).astype(np.float32)
  return Dataset(
    "three", Split(x, LABELS), None, Split(x, LABELS), ("a", "b", "c"), bounds=BOUNDS
  )  # fmt: skip


@pytest.fixture(scope="module")
def networks():
  return {"first": [network(0), network(5)], "second": [network(1), network(6)]}


@pytest.fixture(scope="module")
def run(networks, three_classes, tmp_path_factory):
  directory = tmp_path_factory.mktemp("targeted")

  def of(networks=networks, **settings):
    study = Targeted(**{"per_class": 2, "batch_size": 5, **settings})
    return run_study(
      "t", study, networks, three_classes, key=KEY, seeds=(0, 1), directory=directory
    )

  return of


@pytest.fixture(scope="module")
def film(run):
  return run(attack=TGSM, frames=FRAMES)


def stepped(x, target, w, steps):
  """x <- clip(x - epsilon sign(W (p - e_target))) in float64."""
  x = np.float64(x).ravel()
  for _ in range(steps):
    p = np.exp(x @ w)
    slope = w @ (p / p.sum() - np.eye(3)[target])
    x = np.clip(x - TGSM["epsilon"] * np.sign(slope), *BOUNDS)
  return x.reshape(2, 2, 1)


def expected_bytes(dataset, position, target, seed, steps):
  x = dataset.test.x[position]
  led = x if target == LABELS[position] else stepped(x, target, weights(seed), steps)
  return led, (led + 0.5) * 255


def test_every_cell_is_its_image_led_to_its_target(film, three_classes):
  positions = film.arrays["positions"]
  assert positions.tolist() == [1, 3, 2, 6, 0, 4]
  assert film.arrays["labels"].tolist() == [0, 0, 1, 1, 2, 2]
  assert film.arrays["adversarial"].shape == (2, 6, 3, 2, 2, 1)
  for m, n, k in np.ndindex(2, 6, 3):
    led, in_bytes = expected_bytes(three_classes, positions[n], k, m, steps=4)
    # Rounded to the nearest byte.
    assert np.abs(film.arrays["adversarial"][m, n, k] - in_bytes).max() < 0.51
    for reader in range(2):
      prediction = (led.reshape(4) @ weights(reader)).argmax()
      assert film.arrays["predictions"][m, reader, 0, n, k] == prediction


def test_frames_are_the_same_attack_with_fewer_steps(film, three_classes):
  assert film.arrays["framed"].tolist() == [0, 2, 4]
  assert film.arrays["frames"].shape == (2, 3, 3, 3, 2, 2, 1)
  for m, f, k, t in np.ndindex(2, 3, 3, 3):
    position = film.arrays["positions"][film.arrays["framed"][f]]
    _, in_bytes = expected_bytes(three_classes, position, k, m, steps=FRAMES[t])
    assert np.abs(film.arrays["frames"][m, f, k, t] - in_bytes).max() < 0.51


def test_target_rates_count_the_predictions_of_each_reader(film):
  predictions, labels = film.arrays["predictions"], film.arrays["labels"]
  for m, model in enumerate(("first", "second")):
    for r, reader in enumerate(("first", "second", *OUTSIDERS)):
      for s in (0, 1):
        reads = [
          np.mean([row[k] == k for k in range(3) if k != label])
          for row, label in zip(predictions[m, r, s], labels, strict=True)
        ]
        np.testing.assert_allclose(
          film.at("target_rate", model=model, reader=reader, seed=s), reads
        )


def test_strokes_are_those_of_the_images_that_are_kept(film):
  assert film.arrays["stroke_size"].shape == (2, 2, 6)
  # Images of 2 by 2 pixels: whatever changes touches, and so does whatever is placed at random.
  changed = (film.arrays["adversarial"] != film.arrays["images"][:, None]).sum(axis=(3, 4, 5))
  is_led = film.arrays["labels"][:, None] != np.arange(3)
  expected = [np.mean(of_model, axis=1, where=is_led) for of_model in changed]
  np.testing.assert_allclose(film.arrays["stroke_size"][:, 0], expected)
  assert (film.arrays["stroke_ratio"] == 1).all()


def test_every_seed_s_networks_are_attacked_and_read_by_those_of_their_seed(run, networks, film):
  swapped = run({name: of_seeds[::-1] for name, of_seeds in networks.items()}, attack=TGSM)
  for name in ("predictions", "target_rate"):
    of_seed, of_swapped = (np.moveaxis(one.arrays[name], 2, 0) for one in (film, swapped))
    np.testing.assert_array_equal(of_seed, of_swapped[::-1])
    assert (of_seed[0] != of_seed[1]).any()


def test_networks_that_only_read_are_not_attacked(run, networks, film):
  settings = {"attack": TGSM, "models": ("first",), "readers": ("second", "first")}
  assert Targeted(**settings).networks(["second", "first", "third"]) == ("first", "second")
  result = run(networks, **settings)
  assert result.layout.coordinates["model"] == ("first",)
  assert result.layout.coordinates["reader"] == ("first", "second", *OUTSIDERS)
  np.testing.assert_array_equal(result.arrays["predictions"], film.arrays["predictions"][:1])


def test_a_claim_says_whose_images_a_reader_reads_more_often(film):
  row = {
    "id": "C", "says": "first's transfer.", "of": "t.target_rate", "statistic": "share",
    "at": {"model": "first", "reader": "nearest neighbour"}, "minus": {"model": "second"},
    "at_least": 0.0,
  }  # fmt: skip
  (claim,) = read_claims([row], dataset="three")
  estimate = judge_claim(claim, {"t": film}).estimate
  ours, theirs = film.arrays["target_rate"][:, 2].mean(axis=(1, 2))
  assert estimate.value == pytest.approx(ours - theirs)
  assert estimate.over.startswith("6 originals, two networks")


def test_the_result_tells_what_was_done(film):
  assert film.layout.coordinates["seed"] == (0, 1)
  assert film.layout.coordinates["frame"] == FRAMES
  assert film.layout.images_each == {"target_rate": 2}
  assert film.metadata["attack"]["label"] == "Iterated TGSM"
  assert film.metadata["attack"]["name"] == "tgsm"


def test_the_result_is_the_same_without_frames_and_with_another_batch_size(run, film):
  plain = run(attack=TGSM, batch_size=100)
  assert "frames" not in plain.arrays
  for name in ("adversarial", "predictions"):
    np.testing.assert_array_equal(plain.arrays[name], film.arrays[name])


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("attack", ["jsma", "pgd"])
def test_attacks_that_take_targets_are_given_them(run, three_classes, attack):
  numbers = {"jsma": {"gamma": 1.0, "theta": 0.3}, "pgd": {"epsilon": 0.2, "random_start": False}}
  settings = {"name": attack, **numbers[attack]}
  arrays = run(attack=settings).arrays
  logits_fn = network(1).logits_fn
  n, k = np.nonzero(arrays["labels"][:, None] != np.arange(3))
  x_adv = attacks.get_attack({**settings, "targeted": True, "bounds": BOUNDS})(
    KEY, logits_fn, jnp.asarray(three_classes.test.x[arrays["positions"][n]]), jnp.asarray(k)
  )
  difference = arrays["adversarial"][1, n, k] - (np.float64(x_adv) + 0.5) * 255
  assert np.abs(difference).max() < 0.51
  read = np.argmax(logits_fn(x_adv), axis=1)
  np.testing.assert_array_equal(arrays["predictions"][1, 1, 0, n, k], read)
  assert (read == k).mean() > 0.5


def test_bytes_span_the_bounds_and_cut_rounding_beyond_them():
  assert to_bytes(np.array([-0.5000001, -0.5, 0.5, 0.5000001]), BOUNDS).tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize(
  ("attack", "frames", "sentence"),
  [
    ({}, None, "attack needs a name"),
    ({"name": "jmsa"}, None, r"did you mean 'jsma'\?"),
    (
      {"name": "apgd_targeted", "epsilon": 0.1},
      None,
      r"that can be aimed, .*tgsm.*; got 'apgd_targeted'",
    ),
    ({"name": "jsma", "targeted": False}, None, "must not have the setting 'targeted'"),
    ({"name": "tgsm", "target_offset": 2}, None, "must not have the setting 'target_offset'"),
    ({"name": "jsma"}, [1], "frames need an attack whose steps are taken one by one, tgsm"),
    (TGSM, [0, 5], r"at most the attack's 4 steps, got \[0, 5\]"),
    (TGSM, [2, 1], r"ascending"),
    (TGSM, [-1, 1], r"frames\[0\] must be >= 0, got -1"),
  ],
)
def test_what_cannot_be_aimed_is_refused(three_classes, attack, frames, sentence):
  with pytest.raises(ValueError, match=sentence):
    aimed(three_classes, attack, frames)


def test_the_check_before_training_traces_the_aimed_attack(three_classes):
  modules = {"first": network(0).module}
  Targeted(attack=TGSM, frames=FRAMES).check(modules, three_classes)
  for settings, sentence in (
    ({"attack": TGSM, "frames": (9,)}, "frames must be ascending"),
    ({"attack": {"name": "pgd"}}, "attack 'pgd' needs the setting 'epsilon'"),
    ({"attack": {"name": "pgd", "epsilon": -1}}, "attack: epsilon must be"),
  ):
    with pytest.raises(ValueError, match=sentence):
      Targeted(**settings).check(modules, three_classes)
  with pytest.raises(ValueError, match="names other than 'linear classifier', which is a reader"):
    Targeted(attack=TGSM).check({**modules, OUTSIDERS[1]: network(0).module}, three_classes)
