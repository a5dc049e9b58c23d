"""Every study against what can be computed by hand for linear networks."""

import dataclasses

import flax.linen as nn
import jax
import linear
import numpy as np
import pytest

from robust_saliency.studies import check_study, load_result, run_study, save_result
from robust_saliency.studies.batches import Evaluator
from robust_saliency.training import TrainedNetwork

EPSILONS = (0.0, 0.02, 0.05, 0.1)
KEY = jax.random.key(0)
EVALUATION = {"kind": "evaluation", "epsilon": 0.05, "probed": 0}
MODULES = {name: linear.network(0).module for name in ("a", "b", "c")}


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


class RelativeToItsBatch(nn.Module):
  """A network that sees an image only against the mean of its batch."""

  @nn.compact
  def __call__(self, x, *, train=False, mask=None, dropout_keys=None):
    return nn.Dense(2)((x - x.mean(axis=0)).reshape(len(x), -1))


def test_transfer_scores_each_radius_by_itself(dataset):
  module = RelativeToItsBatch()
  variables = module.init(jax.random.key(3), dataset.test.x[:1])
  networks = {"relative": [TrainedNetwork(module, variables)]}
  settings = {"kind": "transfer", "attack": {"name": "fgsm"}}

  def correct(epsilons):
    study = {**settings, "epsilons": epsilons}
    return run_study("t", study, networks, dataset, key=KEY, seeds=[0]).arrays["correct"]

  radii = (0.0, 0.05, 0.4)
  one_by_one = np.concatenate([correct((epsilon,)) for epsilon in radii], axis=1)
  np.testing.assert_array_equal(correct(radii), one_by_one)


def test_an_overlap_is_of_three_networks_at_a_radius_of_the_study(dataset):
  study = {"kind": "transfer", "attack": {"name": "fgsm"}, "epsilons": (0.0, 0.05)}
  check_study({**study, "overlap": {"models": ("a", "b", "c"), "epsilon": 0.05}}, MODULES, dataset)
  for overlap, sentence in (
    ({"models": ("a", "b"), "epsilon": 0.05}, "must be three networks, got"),
    ({"models": ("a", "b", "d"), "epsilon": 0.05}, "model of overlap must be one of a, b, c"),
    ({"models": ("a", "b", "c"), "epsilon": 0.1}, r"one of \[0.0, 0.05\], got 0.1"),
  ):
    with pytest.raises(ValueError, match=sentence):
      check_study({**study, "overlap": overlap}, MODULES, dataset)


def test_a_study_of_chosen_networks_refuses_others(dataset):
  check_study(
    {"kind": "accuracy", "models": ("a", "chosen")}, MODULES, dataset, families={"chosen": ["b"]}
  )
  with pytest.raises(ValueError, match="model of a study must be one of a, b, c; got 'chosen'"):
    check_study({"kind": "accuracy", "models": ("a", "chosen")}, MODULES, dataset)


def steep_network():
  """Network 0 with logits of hundreds, so that the misplaced probability underflows in float32.

  Its two rows of weights are opposite: rounding 1 - f_y to 0 does not turn the gradient's signs.
  """
  half = 1500 * linear.direction(0)[:, None]
  variables = {"Dense_0": {"kernel": np.hstack([-half, half]), "bias": np.zeros(2, np.float32)}}
  return dataclasses.replace(linear.network(0), variables={"params": variables, "batch_stats": {}})


def test_underflowing_gradients_are_seen_in_float64_or_at_a_temperature(dataset):
  margins = 3000 * linear.margins(dataset.test.x, dataset.test.y, 0)
  fgsm = {"name": "fgsm"}
  settings = {
    "kind": "robustness", "epsilons": EPSILONS, "batch_size": 16,
    "attacks": {
      "plain": fgsm, "double": {**fgsm, "precision": "float64"},
      "tempered": {**fgsm, "temperature": 3000.0},
    },
  }  # fmt: skip
  networks = {"steep": [steep_network()]}
  result = run_study("m", settings, networks, dataset, key=KEY, seeds=[0])
  # For the report, which says why they stand side by side.
  assert [attack.get("precision") for attack in result.facts["attacks"]] == [None, "float64", None]
  assert result.facts["attacks"][2]["temperature"] == 3000
  plain, double, tempered = result.arrays["correct"][:, 0, 0]
  expected = robust(dataset.test.x, dataset.test.y, 0, EPSILONS)
  underflown, seen_in_double = margins > 110, margins < 700
  assert (underflown & seen_in_double & ~expected[-1]).any()
  assert plain[:, underflown].all()
  np.testing.assert_array_equal(double[:, seen_in_double], expected[:, seen_in_double])
  np.testing.assert_array_equal(tempered, expected)


def test_an_evaluation_has_each_attack_s_verdicts(dataset):
  networks = {"plain": [linear.network(0)], "steep": [steep_network()]}
  settings = {
    "kind": "evaluation", "epsilon": 0.05, "probed": 0,
    "attacks": {
      "entropy": {"name": "pgd", "steps": 3},
      "margin": {"name": "pgd", "steps": 3, "loss": "cw_margin"},
    },
  }  # fmt: skip
  with_autoattack = {**settings["attacks"], "aa": {"name": "autoattack", "steps": 5}}
  check_study({**settings, "attacks": with_autoattack}, MODULES, dataset)
  result = run_study("e", settings, networks, dataset, key=KEY, seeds=[0])
  (expected,) = robust(dataset.test.x, dataset.test.y, 0, [0.05])
  for attack in range(2):
    np.testing.assert_array_equal(result.arrays["robust"][attack, 0, 0], expected)
  entropy, margin = result.arrays["robust"][:, 1, 0].sum(axis=1)
  assert expected.sum() == margin < entropy
  assert result.arrays["correct"].all()


def test_an_attack_of_another_norm_or_without_a_radius_counts_where_it_stays_in_the_ball(dataset):
  # DeepFool's way to the nearest image of a linear network is margin / |w|^2 times w.
  attacks = {
    "deepfool": {"name": "deepfool", "norm": "l2", "steps": 3},
    "cw_l2": {"name": "cw_l2", "steps": 30, "binary_search_steps": 3, "learning_rate": 0.05},
    "tgsm": {"name": "tgsm"},
    "jsma": {"name": "jsma"},
    "smaller jsma": {"name": "jsma", "theta": 0.05, "gamma": 1.0},
  }
  study = {**EVALUATION, "attacks": attacks, "batch_size": 16}
  check_study(study, MODULES, dataset)
  networks = {"plain": [linear.network(0)]}
  result = run_study("e", study, networks, dataset, key=KEY, seeds=[0])
  found = dict(zip(attacks, result.arrays["robust"][:, 0, 0], strict=True))
  margin = linear.margins(dataset.test.x, dataset.test.y, 0)
  w = linear.direction(0)
  longest_change = 1.02 * margin * np.abs(w).max() / (w @ w)
  assert (np.abs(longest_change - 0.05) > 1e-4).all()
  np.testing.assert_array_equal(found["deepfool"], longest_change > 0.05)
  assert 0 < found["deepfool"].sum() < 37
  (expected,) = robust(dataset.test.x, dataset.test.y, 0, [0.05])
  np.testing.assert_array_equal(found["tgsm"], expected)
  # A pixel of JSMA's goes as far as it can: out of the ball, where it proves nothing.
  assert found["jsma"].all()
  for name in ("cw_l2", "smaller jsma"):
    assert (found[name] >= expected).all()
    assert not found[name].all()


def test_a_robustness_study_says_in_which_norm_each_attack_counts(networks, dataset):
  attacks = {"default": {"name": "deepfool", "steps": 2}, "fgsm": {"name": "fgsm"},
             "chosen": {"name": "fgsm", "norm": "l1"}}  # fmt: skip
  study = {"kind": "robustness", "attacks": attacks, "epsilons": (0.1,), "batch_size": 64}
  result = run_study("r", study, networks, dataset, key=KEY, seeds=[0, 2])
  assert [attack["norm"] for attack in result.facts["attacks"]] == ["l2", "linf", "l1"]


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
      r"epsilons\[1\] must be >= 0, got -0.1",
    ),
    (
      {"kind": "robustness", "attacks": {"x": {"name": "pgd", "stps": 3}}, "epsilons": (0.1,)},
      r"setting of attack 'pgd' must be one of .*\(did you mean 'steps'\?\)",
    ),
    (
      {
        "kind": "robustness",
        "attacks": {"x": {"name": "fgsm", "precision": "double"}},
        "epsilons": (0.1,),
      },
      "precision must be one of float32, float64; got 'double'",
    ),
    (
      {**EVALUATION, "attacks": {"x": {"name": "autoattack", "version": "standart"}}},
      r"version must be one of .*\(did you mean 'standard'\?\)",
    ),
    (
      {**EVALUATION, "attacks": {"x": {"name": "autoattack", "eps": 1}}},
      "setting of attack 'autoattack' must be one of version, steps",
    ),
    ({"kind": "robustness", "epsilons": (0.1,)}, "study 'robustness' needs the setting 'attacks'"),
    (
      {"kind": "robustness", "attacks": {"x": {"name": "jsma"}}, "epsilons": (0.1,)},
      "attack must be one with epsilon, fgsm, .*; got 'jsma'",
    ),
    (
      {"kind": "transfer", "attack": {"name": "fgsm", "epsilon": 0.3}, "epsilons": (0.1,)},
      "attack 'fgsm' must not set epsilon, which is given for all alike",
    ),
    (
      {**EVALUATION, "norm": "l2", "attacks": {"x": {"name": "tgsm"}}},
      "attack 'tgsm' needs the setting 'epsilon', which is missing",
    ),
    ({"kind": "accuracy", "examples": 38}, "examples must be between 1 and 37, got 38"),
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
