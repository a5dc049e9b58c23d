"""Every study against what can be computed by hand for linear networks."""

import jax
import linear
import numpy as np
import pytest

from robust_saliency.studies import check_study, load_result, run_study, save_result
from robust_saliency.studies.batches import Evaluator

EPSILONS = (0.0, 0.02, 0.05, 0.1)
KEY = jax.random.key(0)


def robust(x, y, seed, epsilons):
  """Closed form: right at epsilon where the margin exceeds epsilon times the dual norm."""
  loss = np.array(epsilons)[:, None] * np.abs(linear.direction(seed)).sum()
  return linear.margins(x, y, seed) > loss


def test_accuracy_is_the_sign_of_the_margin(networks, dataset):
  settings = {"kind": "accuracy", "batch_size": 16}
  result = run_study("a", settings, networks, dataset, key=KEY, seeds=[0, 2])
  x, y = dataset.test.x, dataset.test.y
  assert result.arrays["correct"].shape == (2, 2, 37)
  np.testing.assert_array_equal(result.arrays["correct"][0, 0], linear.margins(x, y, 0) > 0)
  np.testing.assert_array_equal(result.arrays["correct"][1, 0], linear.margins(x, y, 1) > 0)
  assert result.facts["models"] == ["first", "second"]


@pytest.mark.parametrize("attack", [{"name": "fgsm"}, {"name": "pgd", "steps": 3}])
def test_robustness_is_the_margin_against_the_dual_norm(networks, dataset, attack):
  settings = {
    "kind": "robustness", "attacks": {"it": attack}, "epsilons": EPSILONS, "batch_size": 16,
  }  # fmt: skip
  result = run_study("r", settings, networks, dataset, key=KEY, seeds=[0, 2])
  x, y = dataset.test.x, dataset.test.y
  for model, seeds in enumerate([(0, 2), (1, 1)]):
    for run, seed in enumerate(seeds):
      found = result.arrays["correct"][0, model, run]
      np.testing.assert_array_equal(found, robust(x, y, seed, EPSILONS))


def test_transfer_moves_against_the_source_and_asks_the_target(networks, dataset):
  settings = {
    "kind": "transfer", "attack": {"name": "fgsm"}, "epsilons": (0.05,), "batch_size": 16,
  }  # fmt: skip
  result = run_study("t", settings, networks, dataset, key=KEY, seeds=[0, 2])
  x, y = dataset.test.x, dataset.test.y
  push = 0.05 * np.sign(linear.direction(0)).reshape(2, 2, 1)
  x_adv = x - push * np.where(y == 1, 1, -1)[:, None, None, None]
  correct = result.arrays["correct"]
  assert correct.shape == (2, 1, 2, 2, 37)
  np.testing.assert_array_equal(correct[0, 0, 0, 0], linear.margins(x_adv, y, 0) > 0)
  np.testing.assert_array_equal(correct[0, 0, 0, 1], linear.margins(x_adv, y, 1) > 0)


def test_saliency_of_a_linear_network_is_its_weights(networks, dataset):
  settings = {"kind": "saliency", "attribution": {"name": "gradient"}, "per_class": 2}
  result = run_study("s", settings, networks, dataset, key=KEY, seeds=[0, 2])
  assert result.arrays["labels"].tolist() == [0, 0, 1, 1]
  for row, label in enumerate(result.arrays["labels"]):
    expected = linear.weights(0)[:, label].reshape(2, 2, 1)
    np.testing.assert_allclose(result.arrays["maps"][0, row], expected, rtol=1e-6)
  assert result.facts["seed"] == 0


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
    ({"attacks": {}}, "study needs a name"),
    (
      {"kind": "robustness", "attacks": {"x": {"name": "pdg"}}, "epsilons": (0.1,)},
      r"attack must be one of .*; got 'pdg' \(did you mean 'pgd'\?\)",
    ),
    (
      {"kind": "robustness", "attacks": {"x": {"name": "pgd", "norm": "l3"}}, "epsilons": (0.1,)},
      "norm must be one of linf, l2, l1; got 'l3'",
    ),
    (
      {"kind": "robustness", "attacks": {"x": {"name": "pgd"}}, "epsilons": (0.1, -0.1)},
      "epsilons must be >= 0, got -0.1",
    ),
    (
      {"kind": "robustness", "attacks": {"x": {"name": "pgd", "stps": 3}}, "epsilons": (0.1,)},
      r"setting of attack 'pgd' must be one of .*\(did you mean 'steps'\?\)",
    ),
    ({"kind": "accuracy", "examples": 38}, "examples must be between 1 and 37, got 38"),
    (
      {"kind": "saliency", "attribution": {"name": "gradient", "score": "logits"}},
      r"score must be one of .*\(did you mean 'logit'\?\)",
    ),
  ],
)
def test_bad_settings_are_refused_in_a_sentence_before_anything_runs(dataset, settings, sentence):
  with pytest.raises(ValueError, match=sentence):
    check_study(settings, [linear.network(0).module], dataset)


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
