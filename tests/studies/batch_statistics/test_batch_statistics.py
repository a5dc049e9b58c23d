"""A network with batch norm alone before a linear layer, whose readings NumPy computes."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import linear
import numpy as np
import pytest

from robust_saliency import models
from robust_saliency.data import Split
from robust_saliency.studies import read_study, run_study
from robust_saliency.studies.batch_statistics.readings import Reader
from robust_saliency.training import Recipe

EPSILON, BATCH, MOMENTUM = 0.05, 8, 0.75
SETTINGS = {"kind": "batch_statistics", "epsilon": EPSILON, "batches": 3, "batch_size": BATCH}
RECIPE = Recipe({"name": "mlp"}, {"cross_entropy": {}}, {"name": "sgd"}, 10, steps=3)


class Normed(nn.Module):
  dropout_rate: float = 0.5

  @nn.compact
  def __call__(self, x, train=False, mask=None, dropout_keys=None):
    x = models.BatchNorm(momentum=MOMENTUM, epsilon=0, use_bias=False)(
      x.reshape(len(x), -1), train=train, mask=mask
    )
    # Without keys, which training alone has, it can only be off.
    x = models.Dropout(self.dropout_rate)(x, train=train, keys=dropout_keys)
    return nn.Dense(2)(x)


@pytest.fixture
def variables():
  statistics = {"mean": np.full(4, 0.4, np.float32), "var": np.full(4, 0.02, np.float32)}
  dense = {"kernel": linear.weights(0), "bias": np.array([0.1, 0.0], np.float32)}
  return {"params": {"Dense_0": dense}, "batch_stats": {"BatchNorm_0": statistics}}


def reader():
  return Reader(Normed(), epsilon=EPSILON, bounds=(0.0, 1.0), batch_size=BATCH)


def predictions(x, mean, var):
  flat = (x.reshape(len(x), 4) - mean) / np.sqrt(var)
  return (flat @ linear.weights(0) + np.array([0.1, 0.0])).argmax(axis=1)


def batches(x):
  return [x[i : i + BATCH] for i in range(0, len(x), BATCH)]


def moments(x):
  flat = x.reshape(len(x), 4).astype(np.float64)
  return flat.mean(axis=0), flat.var(axis=0)


def moved(variables, images):
  """Running statistics after these batches, one after the other."""
  mean, var = (variables["batch_stats"]["BatchNorm_0"][name] for name in ("mean", "var"))
  for x in images:
    batch_mean, batch_var = moments(x)
    mean = MOMENTUM * mean + (1 - MOMENTUM) * batch_mean
    var = MOMENTUM * var + (1 - MOMENTUM) * batch_var
  return mean, var


def crafted(variables, x, labels, *, train):
  """FGSM by the gradient of the whole batch's loss, taken by JAX of the network alone."""

  def loss(x):
    logits = Normed(dropout_rate=0.0).apply(variables, x, train=train, mutable=["batch_stats"])[0]
    return -jnp.sum(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1))

  return np.clip(x + EPSILON * np.sign(jax.grad(loss)(jnp.asarray(x))), 0, 1)


def test_images_are_read_by_the_running_statistics_or_by_those_of_their_own_batch(variables):
  data = linear.dataset().test  # 37 images: the last batch has three of padding
  for mode in ("evaluation", "training"):
    expected = []
    for x, y in zip(batches(data.x), batches(data.y), strict=True):
      attacked = crafted(variables, x, y, train=mode == "training")
      for images in (x, attacked):
        by = moments(images) if mode == "training" else moved(variables, [])
        expected.append(predictions(images, *by) == y)
    found = reader().correct(variables, data.x, data.y, crafting=mode, reading=mode)
    np.testing.assert_array_equal(found[0], np.concatenate(expected[::2]))
    np.testing.assert_array_equal(found[1], np.concatenate(expected[1::2]))
    assert 0 < found[1].sum() < found[0].sum()


def test_running_statistics_go_on_with_clean_images_attacked_ones_or_both(variables):
  data = linear.dataset().test
  for kind in ("clean", "attacked", "both"):
    images = []
    for x in batches(data.x):
      predicted = predictions(x, *moments(x))
      attacked = crafted(variables, x, predicted, train=True)
      images += {"clean": [x], "attacked": [attacked], "both": [x, attacked]}[kind]
    found = reader().with_statistics_of(variables, data.x, data.y, kind=kind)
    mean, var = moved(variables, images)
    statistics = found["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(statistics["mean"], mean, rtol=1e-4)
    np.testing.assert_allclose(statistics["var"], var, rtol=1e-3)
    assert found["params"] is variables["params"] or jax.tree.all(
      jax.tree.map(np.array_equal, found["params"], variables["params"])
    )


@pytest.fixture
def measured(tmp_path):
  whole = linear.dataset()
  dataset = dataclasses.replace(whole, validation=Split(whole.test.x[:20], whole.test.y[:20]))
  right, other = linear.network(0), linear.network(1)
  # The labels are network 0's. As the network after its last step, another one.
  network = dataclasses.replace(
    linear.network(2),
    last=other.variables,
    snapshots=(other.variables, right.variables, other.variables),
  )
  study = read_study("s", SETTINGS)
  result = run_study(
    "s", study, {"a": [network]}, dataset, key=jax.random.key(0), seeds=(0,), directory=tmp_path
  )
  return study, result, dataset.test


def test_without_batch_norm_every_reading_is_that_of_its_parameters(measured):
  _, result, test = measured
  seeds = {"averaged": 2, "best": 0}
  for reading in result.layout.coordinates["reading"]:
    seed = seeds.get(reading, 1)
    for name, epsilon in (("clean", 0.0), ("attacked", EPSILON)):
      expected = linear.robust(test.x, test.y, seed, [epsilon])[0]
      np.testing.assert_array_equal(result.at(name, model="a", reading=reading)[0], expected)


def test_the_page_has_a_row_for_each_reading(measured):
  study, result, _ = measured
  section = study.page(result, {})
  (group,) = section.tables[0].groups
  assert [row.heading for row in group.rows] == list(result.metadata["readings"].values())
  best = result.at("attacked", model="a", reading="best").mean()
  assert group.rows[2].cells[1].startswith(f"{100 * best:.1f} (")
  assert section.sheets[0].rows[2][:3] == ["a", 0, "best"]
  assert section.sheets[0].rows[2][4] == best


@pytest.mark.parametrize("field", ["averaging", "snapshots"])
def test_a_network_that_leaves_nothing_to_compare_is_refused(field):
  recipe = dataclasses.replace(RECIPE, averaging=0.9, snapshots=5)
  study = read_study("s", SETTINGS)
  study.check_training({"a": recipe})
  with pytest.raises(ValueError, match=f"its network 'a' needs the field '{field}'"):
    study.check_training({"a": dataclasses.replace(recipe, **{field: None})})
