import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from robust_saliency.data import crop_and_flip

PADDING = 2


def images(batch=6, height=5, width=7, channels=3):
  return jax.random.uniform(jax.random.key(0), (batch, height, width, channels), minval=0.1)


def all_outcomes(image, fill=0.0, padding=PADDING):
  """Every crop of the padded image, and then all of them mirrored: [2 (2 padding + 1)^2, ...]."""
  image = np.asarray(image)
  height, width = image.shape[:2]
  margins = [(padding, padding)] * 2 + [(0, 0)] * (image.ndim - 2)
  padded = np.pad(image, margins, constant_values=fill)
  places = range(2 * padding + 1)
  crops = [padded[i : i + height, j : j + width] for i in places for j in places]
  return np.stack([*crops, *(crop[:, ::-1] for crop in crops)])


def outcome(augmented, possible):
  """Which of the possible outcomes this is; exactly one must be."""
  (found,) = np.flatnonzero((possible == np.asarray(augmented)).all(axis=(1, 2, 3)))
  return int(found)


def test_an_image_and_its_map_go_the_same_way():
  x = images()
  maps = jnp.stack([-x[..., 0], jnp.square(x[..., 1])], axis=-1)
  moved, moved_maps = crop_and_flip(jax.random.key(1), x, maps, padding=PADDING, fill=0.5)
  found = []
  for i in range(len(x)):
    found.append(outcome(moved[i], all_outcomes(x[i], fill=0.5)))
    assert found[-1] == outcome(moved_maps[i], all_outcomes(maps[i]))
  assert len(set(found)) > 1


@pytest.mark.slow
def test_every_place_and_both_directions_are_equally_likely():
  x = images(1)
  keys = jax.random.split(jax.random.key(2), 4000)
  moved, _ = crop_and_flip(keys, jnp.repeat(x, len(keys), axis=0), padding=PADDING)
  possible = all_outcomes(x[0])
  found = np.array([outcome(image, possible) for image in moved])
  counts = np.bincount(found, minlength=len(possible))
  assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_the_probability_of_mirroring_is_the_argument(probability):
  x = images()
  moved, _ = crop_and_flip(jax.random.key(0), x, padding=0, flip_probability=probability)
  np.testing.assert_array_equal(moved, x[:, :, ::-1] if probability else x)


def test_an_image_s_crop_depends_on_its_own_key_alone():
  x = images()
  keys = jax.random.split(jax.random.key(3), len(x))
  together, _ = jax.jit(crop_and_flip)(keys, x)
  order = jnp.array([4, 1])
  np.testing.assert_array_equal(crop_and_flip(keys[order], x[order])[0], together[order])


def test_stored_bytes_stay_bytes():
  x = (255 * images()).astype(jnp.uint8)
  moved, maps = crop_and_flip(jax.random.key(0), x)
  assert (moved.dtype, moved.shape, maps) == (jnp.uint8, x.shape, None)


def test_it_runs_under_vmap_over_its_traced_numbers():
  x = images()
  key = jax.random.key(0)
  moved = jax.vmap(lambda p: crop_and_flip(key, x, padding=0, flip_probability=p)[0])(
    jnp.array([0.0, 1.0])
  )
  np.testing.assert_array_equal(moved[1], moved[0][:, :, ::-1])


@pytest.mark.parametrize(
  ("changes", "sentence"),
  [
    ({"padding": -1}, "padding must be >= 0, got -1"),
    ({"flip_probability": [0.5, 0.5]}, "flip_probability must be one number"),
    ({"flip_probability": 1.5}, "flip_probability must be between 0 and 1, got 1.5"),
    ({"x": jnp.zeros((6, 5))}, r"x must hold images \[B, H, W, C\], got shape \(6, 5\)"),
    ({"maps": jnp.zeros((6, 7, 5))}, r"maps must be of the images' size \[6, 5, 7, \.\.\.\], got"),
  ],
)
def test_what_is_not_allowed_is_said_in_one_sentence(changes, sentence):
  with pytest.raises(ValueError, match=sentence):
    crop_and_flip(jax.random.key(0), **{"x": images(), **changes})
