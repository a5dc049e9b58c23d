"""Every study against what can be computed by hand for linear networks."""

import dataclasses

import jax
import linear
import numpy as np
import pytest

from robust_saliency.studies import check_study, load_result, run_study, save_result
from robust_saliency.studies.batches import Evaluator

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
