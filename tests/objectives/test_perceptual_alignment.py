import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import objectives
from tests.objectives import numerical


def misalignment(rows, maps):
  """The mean over classes of 1 - cosine; rows [K, B, H, W, C], maps [B, H, W, C, K]."""
  classes, batch = rows.shape[:2]
  values = np.zeros((batch, classes))
  for n in range(batch):
    for k in range(classes):
      u, v = rows[k, n].ravel(), maps[n, ..., k].ravel()
      lengths = np.linalg.norm(u) * np.linalg.norm(v)
      values[n, k] = 1 - (u @ v / lengths if lengths else 0)
  return values.mean(axis=1)


@pytest.mark.parametrize("problem", [True], indirect=True, ids=["batch norm"])
def test_every_class_s_gradient_is_compared_with_its_own_map(problem):
  @jax.jit
  def values(x, maps):
    return {
      output: objectives.perceptual_alignment(problem.logits_fn(), x, maps, output=output)
      for output in numerical.OUTPUTS
    }

  for output, found in values(problem.x, problem.class_maps).items():
    rows = numerical.class_gradients(problem, output=output)
    np.testing.assert_allclose(found, misalignment(rows, problem.class_maps), rtol=1e-7)


@pytest.mark.parametrize("problem", [False], indirect=True, ids=["plain"])
def test_the_maps_lead_from_the_image_to_the_images_of_the_classes(problem):
  rows = numerical.class_gradients(problem)
  y = np.array([0, 2, 0, 2, 2])  # and no image of class 1
  images = np.random.default_rng(3).uniform(size=(3, *problem.x.shape[1:]))

  @jax.jit
  def values(x, images):
    return [
      objectives.class_mean_alignment(problem.logits_fn(), x, jnp.asarray(y), class_images=given)
      for given in (images, None)
    ]

  means = [problem.x[y == k].mean(axis=0) if k in y else None for k in range(3)]
  for found, towards in zip(values(problem.x, images), (images, means), strict=True):
    maps = np.zeros_like(problem.class_maps)
    for k in range(3):
      maps[..., k] = 0 if towards[k] is None else towards[k] - problem.x
    np.testing.assert_allclose(found, misalignment(rows, maps), rtol=1e-7)
