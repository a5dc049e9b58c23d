"""What is done to maps before training: values change places within a map, and small ones go."""

import numpy as np
import pytest

from robust_saliency.training import map_settings
from robust_saliency.training.map_settings import MapSettings, prepared

MAPS = np.random.default_rng(0).normal(size=(30, 7, 6, 2)).astype(np.float32)
VALUES = 7 * 6 * 2


def changed(maps=MAPS, training_seed=0, **settings):
  return prepared(maps, MapSettings(study="s", **settings), seed=training_seed)


@pytest.mark.parametrize("threshold", [0.0, 1.0, 1.25])
def test_values_within_so_many_deviations_of_their_map_s_mean_become_zero(threshold):
  found = changed(threshold=threshold)
  for before, after in zip(MAPS, found, strict=True):
    mean, deviation = before.mean(dtype=np.float64), before.std(dtype=np.float64, ddof=1)
    kept = (before > mean + threshold * deviation) | (before < mean - threshold * deviation)
    np.testing.assert_array_equal(after, np.where(kept, before, 0))
  # Of normal values 32 % lie beyond one deviation.
  assert threshold != 1 or abs((found != 0).mean() - 0.317) < 0.03


@pytest.mark.parametrize("shape", [(2, 3, 3, 1), (2, 1, 1, 1)])
def test_maps_without_contrast_become_empty(shape):
  for value in (0.0, 0.5):
    assert not changed(np.full(shape, value, np.float32), threshold=1.0).any()


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.75, 1.0])
def test_a_share_of_the_values_change_places_within_their_map(fraction):
  found = changed(permuted=fraction)
  before, after = MAPS.reshape(30, -1), found.reshape(30, -1)
  np.testing.assert_array_equal(np.sort(before, axis=1), np.sort(after, axis=1))
  # One of int(p d) values stays where it is, on average, if they are permuted uniformly.
  moved = (before != after).sum(axis=1)
  assert moved.max() <= int(fraction * VALUES)
  assert abs(moved.mean() - (int(fraction * VALUES) - 1)) < 4 / np.sqrt(30)
  # Of maps of mean zero the cosine falls to 1 - p.
  cosines = (before * after).sum(axis=1) / (before**2).sum(axis=1)
  assert abs(cosines.mean() - (1 - fraction)) < 4 * cosines.std() / np.sqrt(30) + 2 / VALUES


def test_all_places_and_channels_are_as_likely():
  maps = np.arange(24.0, dtype=np.float32).reshape(1, 3, 4, 2).repeat(6000, axis=0)
  found = changed(maps, permuted=0.5).reshape(6000, 24)
  stays = (found == np.arange(24)).mean(axis=0)
  # Half of the places are drawn, and one of twelve stays where it is.
  expected = 0.5 + 0.5 / 12
  assert np.abs(stays - expected).max() < 4.5 * np.sqrt(expected * (1 - expected) / 6000)
  # Where the value of place 0 goes, if it goes.
  goes = np.array([(found[:, place] == 0).mean() for place in range(1, 24)])
  likely = (1 - expected) / 23
  assert np.abs(goes - likely).max() < 4.5 * np.sqrt(likely / 6000)


def test_every_map_is_permuted_in_its_own_way_and_every_seed_in_another():
  maps = MAPS[:1].repeat(5, axis=0)
  found = changed(maps, permuted=1.0)
  assert len({one.tobytes() for one in found}) == 5
  np.testing.assert_array_equal(found, changed(maps, permuted=1.0))
  for other in ({"training_seed": 1}, {"seed": 1}):
    assert (changed(maps, permuted=1.0, **other) != found).mean() > 0.9


def test_a_map_depends_on_its_own_values_and_place_alone(monkeypatch):
  settings = {"permuted": 0.5, "threshold": 1.0}
  found = changed(**settings)
  np.testing.assert_array_equal(changed(MAPS[:11], **settings), found[:11])
  others = np.concatenate([MAPS[:10] + 1, MAPS[10:]])
  np.testing.assert_array_equal(changed(others, **settings)[10:], found[10:])
  monkeypatch.setattr(map_settings, "CHUNK", 7)
  np.testing.assert_array_equal(changed(**settings), found)


def test_values_change_places_before_the_threshold_which_is_the_same_for_either():
  found = changed(permuted=0.5, threshold=1.0)
  np.testing.assert_array_equal(found, changed(changed(permuted=0.5), threshold=1.0))


def test_maps_to_which_nothing_is_done_are_not_taken_into_memory(tmp_path):
  np.save(tmp_path / "maps.npy", MAPS)
  maps = np.load(tmp_path / "maps.npy", mmap_mode="r")
  assert changed(maps) is maps
  np.testing.assert_array_equal(changed(maps, threshold=1.0), changed(threshold=1.0))
  np.testing.assert_array_equal(maps, MAPS)
