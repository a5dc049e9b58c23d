import dataclasses
import functools

import jax
import jax.numpy as jnp
import linear
import numpy as np
import pytest

from robust_saliency import attributions, models
from robust_saliency.results.compact import compact
from robust_saliency.studies.methods import attribution_on
from robust_saliency.studies.saliency import Saliency
from robust_saliency.studies.saliency.study import SHADES
from robust_saliency.studies.study import run_study

KEY = jax.random.key(0)


@pytest.fixture
def run(networks, dataset, tmp_path):
  def of(**settings):
    study = Saliency(**settings)
    return run_study("s", study, networks, dataset, key=KEY, seeds=(0, 2), directory=tmp_path)

  return of


def test_saliency_of_a_linear_network_is_its_weights(run, dataset):
  result = run(attribution={"name": "gradient"}, per_class=2)
  assert result.arrays["labels"].tolist() == [0, 0, 1, 1]
  for model, seed in (("first", 0), ("second", 1)):
    for row, label in enumerate(result.arrays["labels"]):
      expected = linear.weights(seed)[:, label].reshape(2, 2, 1)
      np.testing.assert_allclose(result.at("maps", model=model)[row], expected, rtol=1e-6)
  images = np.concatenate([dataset.test.x[dataset.test.y == label][:2] for label in (0, 1)])
  np.testing.assert_array_equal(result.arrays["images"], images)
  read = (images.reshape(4, 4) @ linear.weights(1)).argmax(axis=1)
  np.testing.assert_array_equal(result.at("predictions", model="second"), read)
  assert result.metadata["classes"] == ["no", "yes"]
  assert result.layout.coordinates["seed"] == (0,)


def test_a_small_report_keeps_maps_to_half_a_shade_and_changes_them_once(run):
  result = run(attribution={"name": "gradient"}, per_class=2)
  random = np.random.default_rng(0)
  sizes = np.array([1e-20, 1e20], np.float32)[:, None, None, None, None]
  maps = random.normal(size=(2, 4, 28, 28, 1)).astype(np.float32) * sizes
  maps[0, 0] = 0
  whole = dataclasses.replace(result, arrays={**result.arrays, "maps": maps})
  kept = Saliency.without_derived(whole)
  largest = np.abs(maps).max(axis=(2, 3, 4), keepdims=True)
  assert (np.abs(kept.arrays["maps"] - maps) <= 0.51 * largest / SHADES).all()
  compacted = dataclasses.replace(kept, arrays=compact(kept.arrays))
  again = compact(Saliency.without_derived(compacted).arrays)
  np.testing.assert_array_equal(again["maps"], compacted.arrays["maps"])


@pytest.mark.parametrize(
  ("attribution", "signed"),
  [
    ({"name": "smoothgrad", "samples": 2}, True),
    ({"name": "vargrad", "samples": 2, "label": "VarGrad"}, False),
    ({"name": "smoothgrad", "samples": 2, "attribution": {"name": "smoothgrad_squared"}}, False),
  ],
)
def test_a_saliency_study_says_whether_its_maps_have_a_sign(run, attribution, signed):
  result = run(attribution=attribution)
  name = attribution["name"]
  label = attribution.get("label", name)
  assert result.metadata["method"] == {"name": name, "label": label, "signed": signed}
  assert signed or (result.arrays["maps"] >= 0).all()


def test_an_attribution_inside_another_has_the_data_set_s_bounds_too(dataset):
  dataset = dataclasses.replace(dataset, bounds=(-1.0, 1.0))
  inner = {"name": "smoothgrad", "samples": 2}
  x, y = jnp.asarray(dataset.test.x[:3]), jnp.asarray(dataset.test.y[:3])

  def curved(x):
    return jnp.stack([jnp.sum(x**3, axis=(1, 2, 3)), jnp.sum(x, axis=(1, 2, 3))], axis=1)

  found = attribution_on(dataset, {"name": "vargrad", "samples": 2, "attribution": inner})
  smooth = functools.partial(attributions.smoothgrad, samples=2, bounds=(-1.0, 1.0))
  expected = attributions.vargrad(
    KEY, curved, x, y, attribution=smooth, samples=2, bounds=(-1.0, 1.0)
  )
  np.testing.assert_allclose(found(KEY, curved, x, y), expected, rtol=1e-6)


@pytest.mark.parametrize(
  ("attribution", "sentence"),
  [
    ({"name": "gradiant"}, r"attribution: .*did you mean 'gradient'\?"),
    ({"name": "gradient", "score": "logits"}, r"attribution: score .*did you mean 'logit'\?"),
    ({"name": "guided_backprop"}, "attribution: logits_fn must have ReLUs"),
  ],
)
def test_an_attribution_that_could_not_be_computed_is_refused(dataset, attribution, sentence):
  modules = {"linear": linear.network(0).module}
  with pytest.raises(ValueError, match=sentence):
    Saliency(attribution=attribution).check(modules, dataset)


def test_one_that_its_own_networks_admit_is_not(dataset):
  relu = models.build("mlp", hidden=(4,), num_classes=2)
  Saliency(attribution={"name": "guided_backprop"}).check({"relu": relu}, dataset)
