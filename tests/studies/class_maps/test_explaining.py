"""Which parts of an image count as an occurrence of their feature."""

import jax
import jax.numpy as jnp
import numpy as np

from robust_saliency.data import Dataset, Split
from robust_saliency.studies.class_maps.explaining import explainer


def test_a_part_whose_pixels_are_equal_does_not_differ_from_its_mean():
  """Whatever their value: the mean of ten times 0.1 is not 0.1 in float32."""
  values = np.linspace(0.05, 0.95, 7, dtype=np.float32)
  x = np.broadcast_to(values[:, None, None, None], (7, 10, 4, 3)).copy()
  x[:, 0, 3, 1] += 1 / 255  # the second part is a level off at one place
  labels = np.broadcast_to((np.arange(4) >= 2).astype(np.int32), (7, 10, 4))
  split = Split(x, np.zeros(7, np.int32))
  dataset = Dataset("flat", split, None, split, ("a", "b"))
  settings = {"samples": 8, "fill": "mean"}
  explain = explainer(dataset, settings, parts=2, predicted=False)

  def logits_fn(x):
    return x.reshape(len(x), -1)[:, :2]

  keys = jax.random.split(jax.random.key(0), 7)
  local = jax.jit(lambda x: explain(keys, logits_fn, x, (jnp.zeros(7, int), labels)))(x)
  assert np.asarray(local.differs).tolist() == [[False, True]] * 7
