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


@pytest.mark.parametrize("output", numerical.OUTPUTS)
def test_every_class_s_gradient_is_compared_with_its_own_map(output, problem):
  rows = numerical.class_gradients(problem, output=output)
  found = jax.jit(
    lambda x, maps: objectives.perceptual_alignment(problem.logits_fn(), x, maps, output=output)
  )(jnp.asarray(problem.x), jnp.asarray(problem.class_maps))
  np.testing.assert_allclose(found, misalignment(rows, problem.class_maps), rtol=1e-7)


@pytest.mark.parametrize("given", [True, False], ids=["given images", "means of the batch"])
def test_the_maps_lead_from_the_image_to_the_images_of_the_classes(given, problem):
  rows = numerical.class_gradients(problem, train=False)
  y = np.array([0, 2, 0, 2, 2])  # and no image of class 1
  images = np.random.default_rng(3).uniform(size=(3, *problem.x.shape[1:]))
  maps = np.zeros_like(problem.class_maps)
  for k in range(3):
    members = problem.x[y == k]
    if given or len(members):
      towards = images[k] if given else members.mean(axis=0)
      maps[..., k] = towards - problem.x
  found = jax.jit(
    lambda x: objectives.class_mean_alignment(
      problem.logits_fn(train=False),
      x,
      jnp.asarray(y),
      class_images=jnp.asarray(images) if given else None,
    )
  )(jnp.asarray(problem.x))
  np.testing.assert_allclose(found, misalignment(rows, maps), rtol=1e-7)
