"""Every study against what can be computed by hand for linear networks."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import linear
import numpy as np
import pytest

from robust_saliency import attributions, models
from robust_saliency.studies import check_study, load_result, run_study, save_result
from robust_saliency.studies.batches import Evaluator
from robust_saliency.studies.saliency import attribution_on

KEY = jax.random.key(0)
MODULES = {name: linear.network(0).module for name in ("a", "b", "c")}


def test_accuracy_is_the_sign_of_the_margin(networks, dataset):
  settings = {"kind": "accuracy", "batch_size": 16}
  result = run_study("a", settings, networks, dataset, key=KEY, seeds=[0, 2])
  x, y = dataset.test.x, dataset.test.y
  assert result.arrays["correct"].shape == (2, 2, 37)
  np.testing.assert_array_equal(result.arrays["correct"][0, 0], linear.margins(x, y, 0) > 0)
  np.testing.assert_array_equal(result.arrays["correct"][1, 0], linear.margins(x, y, 1) > 0)
  assert result.facts["models"] == ["first", "second"]


def test_a_study_of_chosen_networks_refuses_others(dataset):
  check_study(
    {"kind": "accuracy", "models": ("a", "chosen")}, MODULES, dataset, families={"chosen": ["b"]}
  )
  with pytest.raises(ValueError, match="model of a study must be one of a, b, c; got 'chosen'"):
    check_study({"kind": "accuracy", "models": ("a", "chosen")}, MODULES, dataset)


def test_saliency_of_a_linear_network_is_its_weights(networks, dataset):
  settings = {"kind": "saliency", "attribution": {"name": "gradient"}, "per_class": 2}
  result = run_study("s", settings, networks, dataset, key=KEY, seeds=[0, 2])
  assert result.arrays["labels"].tolist() == [0, 0, 1, 1]
  for row, label in enumerate(result.arrays["labels"]):
    expected = linear.weights(0)[:, label].reshape(2, 2, 1)
    np.testing.assert_allclose(result.arrays["maps"][0, row], expected, rtol=1e-6)
  assert result.facts["seed"] == 0


def test_gradient_lengths_of_a_linear_network_are_the_misplaced_probability(networks, dataset):
  settings = {"kind": "gradients", "batch_size": 16}
  result = run_study("g", settings, networks, dataset, key=KEY, seeds=[0, 2])
  margin = linear.margins(dataset.test.x, dataset.test.y, 1)
  length = np.linalg.norm(linear.direction(1))
  # dH(label, f)/dx = (1 - f_label) (w_other - w_label), where f_y = 1 / (1 + exp(-margin)).
  np.testing.assert_allclose(
    result.arrays["lengths"][0, 1, 0], length / (1 + np.exp(margin)), rtol=1e-4
  )
  np.testing.assert_allclose(
    result.arrays["lengths"][1, 1, 0], length / (1 + np.exp(-margin)), rtol=1e-4
  )
  log_p = result.arrays["log_probabilities"][1, 0, np.arange(37), dataset.test.y]
  np.testing.assert_allclose(log_p, -np.log1p(np.exp(-margin)), rtol=1e-4, atol=1e-6)


def test_a_study_of_some_networks_is_not_refused_because_of_another(dataset):
  modules = {name: models.build("mlp", hidden=hidden, num_classes=2)
             for name, hidden in (("relu", (4,)), ("linear", ()))}  # fmt: skip
  study = {"kind": "saliency", "attribution": {"name": "guided_backprop"}}
  check_study({**study, "models": ("relu",)}, modules, dataset)
  check_study({**study, "models": ("chosen",)}, modules, dataset, families={"chosen": ["relu"]})
  for refused in ({}, {"models": ("chosen",)}):
    with pytest.raises(ValueError, match="attribution: logits_fn must have ReLUs"):
      check_study({**study, **refused}, modules, dataset, families={"chosen": ["linear"]})


@pytest.mark.parametrize(
  ("attribution", "signed"),
  [
    ({"name": "smoothgrad", "samples": 2}, True),
    ({"name": "vargrad", "samples": 2}, False),
    ({"name": "smoothgrad", "samples": 2, "attribution": {"name": "smoothgrad_squared"}}, False),
  ],
)
def test_a_saliency_study_says_whether_its_maps_have_a_sign(networks, dataset, attribution, signed):
  study = {"kind": "saliency", "attribution": attribution}
  result = run_study("s", study, networks, dataset, key=KEY, seeds=[0, 2])
  assert result.facts["method"]["signed"] is signed
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


@pytest.mark.parametrize("batch_size", [1, 7, 37, 500])
def test_results_do_not_depend_on_the_batch_size(dataset, batch_size):
  noise = Evaluator(
    lambda keys, logits_fn, x, y: jax.vmap(jax.random.normal)(keys), batch_size=batch_size
  )
  drawn = noise(linear.network(0), KEY, dataset.test.x, dataset.test.y)
  alone = [jax.random.normal(jax.random.fold_in(KEY, i)) for i in range(37)]
  np.testing.assert_array_equal(drawn, np.array(alone))


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"kind": "robustnes"}, r"study must be one of .* \(did you mean 'robustness'\?\)"),
    ({"attacks": {}}, "study needs a kind, one of selection, accuracy"),
    ({"kind": "accuracy", "examples": 38}, "examples must be between 1 and 37, got 38"),
    (
      {"kind": "saliency", "attribution": {"name": "gradient", "score": "logits"}},
      r"score must be one of .*\(did you mean 'logit'\?\)",
    ),
  ],
)
def test_bad_settings_are_refused_in_a_sentence_before_anything_runs(dataset, settings, sentence):
  with pytest.raises(ValueError, match=sentence):
    check_study(settings, MODULES, dataset)


def test_results_are_read_back_only_if_whole_and_of_the_same_identity(networks, dataset, tmp_path):
  result = run_study("a b", {"kind": "accuracy"}, networks, dataset, key=KEY, seeds=[0, 2])
  save_result(result, tmp_path, identity={"epochs": 1})
  read = load_result("a b", tmp_path, identity={"epochs": 1})
  np.testing.assert_array_equal(read.arrays["correct"], result.arrays["correct"])
  assert read.facts == result.facts
  assert load_result("a b", tmp_path, identity={"epochs": 2}) is None
  path = tmp_path / "a-b.npz"
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)
  assert load_result("a b", tmp_path, identity={"epochs": 1}) is None
