import jax
import linear
import numpy as np
import pytest

from robust_saliency.studies.batches import Evaluator

KEY = jax.random.key(0)


@pytest.mark.parametrize("batch_size", [1, 7, 37, 500])
def test_results_do_not_depend_on_the_batch_size(dataset, batch_size):
  noise = Evaluator(
    lambda keys, logits_fn, x, y: jax.vmap(jax.random.normal)(keys), batch_size=batch_size
  )
  drawn = noise(linear.network(0), KEY, dataset.test.x, dataset.test.y)
  alone = [jax.random.normal(jax.random.fold_in(KEY, i)) for i in range(37)]
  np.testing.assert_array_equal(drawn, np.array(alone))
