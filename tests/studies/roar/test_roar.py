"""ROAR and KAR against a planted truth, by the function of the library."""

import dataclasses
import functools
import tempfile

import jax
import numpy as np
import pytest

from robust_saliency.data import Split
from robust_saliency.studies.roar import remove_and_retrain, retraining
from robust_saliency.studies.roar.curves import Curves
from robust_saliency.studies.roar.removal import CONTROLS
from robust_saliency.training import Network
from tests.studies.roar.planted import RECIPE, truth


def test_a_planted_map_scores_above_chance_and_its_inverse_below(dataset):
  splits = (dataset.train, dataset.test)
  settings = {"retraining": RECIPE, "fractions": (0.25, 0.5)}
  right = tuple(truth(split) for split in splits)
  key = jax.random.key(0)
  planted_map = remove_and_retrain(key, dataset, right, **settings)
  inverted = remove_and_retrain(key, dataset, tuple(-one for one in right), **settings)
  for protocol in ("ROAR", "KAR"):
    assert planted_map.score[protocol] > 0.03
    assert inverted.score[protocol] < -0.03
  assert planted_map.accuracy["ROAR"][0, 0] < 0.6
  assert inverted.accuracy["ROAR"][0, 1] > 0.85
  np.testing.assert_array_equal(planted_map.random["ROAR"], inverted.random["ROAR"])


@pytest.mark.parametrize("most", [pytest.param(1, marks=pytest.mark.slow), 2**30])
def test_networks_retrained_as_one_program_are_those_retrained_one_after_the_other(
  most, dataset, tmp_path, monkeypatch
):
  monkeypatch.setattr(retraining, "MOST_BYTES", most)
  random = np.random.default_rng(0)
  trained = []
  original = Network.train

  def recorded(self, *args, **settings):
    trained.append(original(self, *args, **settings))
    return trained[-1]

  monkeypatch.setattr(Network, "train", recorded)
  masks = [[random.random(split.x.shape) < 0.5 for split in (dataset.train, dataset.test)]
           for _ in range(3)]  # fmt: skip
  of = {}
  for together in (True, False):
    trainer = retraining.Retraining(RECIPE, dataset, tmp_path / str(together), together=together)
    splits = (trainer.train, trainer.scored)

    def images(mask, splits=splits):
      return tuple(np.where(m, split.x, 0.5) for m, split in zip(mask, splits, strict=True))

    jobs = [
      retraining.Job(f"mask/{i}", functools.partial(images, mask), seed=i % 2)
      for i, mask in enumerate(masks)
    ]
    accuracies = trainer.accuracies(jobs)
    of[together] = accuracies, [one.variables for one in trained]
    trained.clear()
    # What is finished is read.
    assert trainer.accuracies([job._replace(images=lambda: pytest.fail("asked"))
                               for job in jobs]) == accuracies  # fmt: skip
    assert not trained
  assert of[True][0] == pytest.approx(of[False][0], abs=2 / len(dataset.test))
  for one, other in zip(of[True][1], of[False][1], strict=True):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), one, other)
  assert len(set(of[False][0])) > 1


@pytest.mark.parametrize("noise", [0.0, 1e-8])
def test_lots_are_the_same_whichever_protocol_draws_them(noise, dataset, tmp_path, asked):
  trainer = retraining.Retraining(RECIPE, dataset, tmp_path)
  lots = Curves(trainer, (0.1, 0.5, 0.9), noise=noise)
  blind = tuple(CONTROLS["random"](split.x) for split in (dataset.train, dataset.test))
  both = lots.of("random/0", lambda: blind, jax.random.key(3), 0)
  assert len(set(both.ravel())) == 3
  asked.clear()
  np.testing.assert_array_equal(
    lots.of_random("random/0", lambda: blind, jax.random.key(3), 0), both
  )
  assert [job.name for job in asked] == [f"random/0/ROAR/{f}/0" for f in (0.1, 0.5, 0.9)]


def test_what_is_kept_in_a_directory_is_read_for_equal_arguments_alone(dataset, tmp_path, asked):
  maps = [truth(split) + 0.0 for split in (dataset.train, dataset.test)]
  smaller = dataclasses.replace(dataset, train=dataset.train.take(slice(0, 300)))

  def names(key=0, images=dataset, of=maps, **settings):
    asked.clear()
    fields = {"retraining": RECIPE, "fractions": (0.5,), "directory": tmp_path, **settings}
    remove_and_retrain(jax.random.key(key), images, tuple(of), **fields)
    random = {job.name for job in asked if "/random" in job.name}
    return {job.name for job in asked} - random, random

  of_maps, random = names()
  assert names() == (of_maps, random)
  other, same = names(of=[maps[0], -maps[1]])
  assert other.isdisjoint(of_maps)
  assert same == random
  for changed in (
    {"key": 1},
    {"images": smaller, "of": [maps[0][:300], maps[1]]},
    {"retraining": {**RECIPE, "steps": 61}},
    {"fill": 0.0},
    {"noise": 1e-8},
    {"seeds": (1,)},
  ):
    other, lots = names(**changed)
    assert other.isdisjoint(of_maps)
    assert lots.isdisjoint(random)


def test_each_seed_draws_lots_of_its_own_and_nothing_is_left_where_no_directory_is_given(
  dataset, tmp_path, asked, monkeypatch
):
  monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
  maps = tuple(truth(split) for split in (dataset.train, dataset.test))
  settings = {"retraining": RECIPE, "fractions": (0.5,)}
  found = remove_and_retrain(jax.random.key(0), dataset, maps, seeds=(0, 1), **settings)
  second = remove_and_retrain(jax.random.key(0), dataset, maps, seeds=(1,), **settings)
  for of_seeds, of_one in ((found.random, second.random), (found.accuracy, second.accuracy)):
    assert of_seeds["ROAR"][0, 0] != of_seeds["ROAR"][1, 0]
    np.testing.assert_array_equal(of_seeds["ROAR"][1], of_one["ROAR"][0])
  assert asked
  assert list(tmp_path.iterdir()) == []


def test_maps_of_other_images_are_refused(dataset):
  maps = (truth(dataset.train), truth(dataset.train))
  with pytest.raises(ValueError, match="maps of the test images must be"):
    remove_and_retrain(jax.random.key(0), dataset, maps, retraining=RECIPE)


def test_images_of_bytes_are_scored_as_floats(dataset):
  as_bytes = dataclasses.replace(
    dataset,
    train=Split((dataset.train.x * 255).astype(np.uint8), dataset.train.y),
    test=Split((dataset.test.x * 255).astype(np.uint8), dataset.test.y),
    scale=1 / 255,
  )
  maps = truth(dataset.train), truth(dataset.test)
  found = remove_and_retrain(
    jax.random.key(0), as_bytes, maps, retraining=RECIPE, fractions=(0.5,), protocols=("KAR",)
  )
  assert found.accuracy["KAR"][0, 0] > 0.85
