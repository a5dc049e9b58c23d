"""The probe against a linear network's closed forms, and rows that no interruption changes."""

import dataclasses

import jax
import numpy as np
import pytest

from robust_saliency.data import Dataset, Split
from robust_saliency.training import Network, Recipe, read_metrics

SETTINGS = {
  "architecture": {"name": "mlp", "hidden": ()},
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "sgd", "learning_rate": 0.5},
  "batch_size": 12,
  "steps": 12,
  "log_every": 5,
  "checkpoint_every": 4,
}
PROBE = {"every": 3, "examples": 11}
ATTACKED = {**PROBE, "source": "other", "epsilon": 0.3, "white_box": 0.1}


def split(seed, examples):
  random = np.random.default_rng(seed)
  x = random.integers(0, 256, (examples, 2, 2, 1)).astype(np.uint8)
  return Split(x, random.integers(0, 3, examples).astype(np.int32))


@pytest.fixture(scope="module")
def dataset():
  return Dataset("noise", split(0, 20), split(1, 13), split(2, 20), ("a", "b", "c"), scale=1 / 255)


def network_for(dataset, **change):
  network = Network("net", Recipe.from_config({**SETTINGS, **change}), dataset)
  network.check()
  return network


@pytest.fixture(scope="module")
def source(dataset, tmp_path_factory):
  return network_for(dataset, seed_offset=7).train(0, tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def probed(dataset, source, tmp_path_factory):
  """A whole run: its network and its rows."""
  directory = tmp_path_factory.mktemp("probed")
  network = network_for(
    dataset, probe={**PROBE, "source": "other", "epsilon": 0.3, "white_box": 0.1}
  )
  return network.train(0, directory, source=source), read_metrics(directory)


def weights(trained):
  dense = trained.variables["params"]["Dense_0"]
  return np.asarray(dense["kernel"], np.float64), np.asarray(dense["bias"], np.float64)


def softmax(z):
  exponentials = np.exp(z - z.max(axis=1, keepdims=True))
  return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_a_probe_measures_what_a_linear_network_s_closed_forms_say(probed, source, dataset):
  x = dataset.validation.x[:11].reshape(11, -1) / 255
  y, one_hot = dataset.validation.y[:11], np.eye(3)[dataset.validation.y[:11]]
  kernel, bias = weights(source)
  slope = (softmax(x @ kernel + bias) - one_hot) @ kernel.T
  x_adv = np.clip(x + 0.3 * np.sign(slope), 0, 1)
  trained, rows = probed
  kernel, bias = weights(trained)
  p = softmax(x @ kernel + bias)
  x_own = np.clip(x + 0.1 * np.sign((p - one_hot) @ kernel.T), 0, 1)
  expected = {
    "probe_white_box_accuracy": np.mean((x_own @ kernel + bias).argmax(axis=1) == y),
    "probe_accuracy": np.mean(p.argmax(axis=1) == y),
    "probe_fgsm_accuracy": np.mean((x_adv @ kernel + bias).argmax(axis=1) == y),
    "probe_gradient": np.mean(np.sum(((p - one_hot) @ kernel.T) ** 2, axis=1)),
    "probe_gradient_uniform": np.mean(np.sum(((p - 1 / 3) @ kernel.T) ** 2, axis=1)),
  }
  for name, value in expected.items():
    assert rows[-1][name] == pytest.approx(value, rel=1e-4), name


def test_a_row_ends_at_each_probe_and_only_there_it_has_the_probe_s_metrics(probed):
  steps = {row["step"]: "probe_fgsm_accuracy" in row for row in probed[1]}
  assert [step for step, measured in steps.items() if measured] == [3, 6, 9, 12]
  assert [step for step, measured in steps.items() if not measured] == [4, 5, 8, 10]


def test_an_earlier_row_is_that_of_a_run_which_ends_there(probed, dataset, source, tmp_path):
  network = network_for(dataset, steps=6, probe={**ATTACKED, "every": 100})
  network.train(0, tmp_path, source=source)
  (at_six,) = [row for row in probed[1] if row["step"] == 6]
  last = read_metrics(tmp_path)[-1]
  assert {name: last[name] for name in last if "probe" in name} == {
    name: at_six[name] for name in at_six if "probe" in name
  }


def test_a_probe_changes_no_bit_of_the_network(probed, dataset, tmp_path):
  plain = network_for(dataset).train(0, tmp_path)
  for a, b in zip(
    jax.tree.leaves(probed[0].variables), jax.tree.leaves(plain.variables), strict=True
  ):
    assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("last", [3, 7, 10])
def test_a_probed_run_that_was_cut_off_has_the_rows_of_one_that_was_not(
  last, probed, dataset, source, tmp_path, monkeypatch
):
  class CutError(Exception):
    pass

  network = network_for(dataset, probe=ATTACKED)
  indices = network._indices

  def cut(step, *, seed):
    if step == last:
      raise CutError
    return indices(step, seed=seed)

  monkeypatch.setattr(network, "_indices", cut)
  with pytest.raises(CutError):
    network.train(0, tmp_path, source=source)
  monkeypatch.undo()
  trained = network.train(0, tmp_path, source=source)
  assert read_metrics(tmp_path) == probed[1]
  np.testing.assert_array_equal(weights(trained)[0], weights(probed[0])[0])


def test_without_a_source_there_is_no_black_box_accuracy(dataset, tmp_path):
  network_for(dataset, probe=PROBE).train(0, tmp_path)
  assert "probe_accuracy" in read_metrics(tmp_path)[-1]
  assert "probe_fgsm_accuracy" not in read_metrics(tmp_path)[-1]


def test_a_probe_and_early_stopping_measure_the_same_accuracy(dataset, tmp_path):
  network = network_for(dataset, early_stopping={}, probe={"every": 4, "examples": 13})
  network.train(0, tmp_path)
  both = [row for row in read_metrics(tmp_path) if "probe_accuracy" in row]
  assert [row["step"] for row in both] == [4, 8, 12]
  for row in both:
    assert row["probe_accuracy"] == pytest.approx(row["validation_accuracy"])


@pytest.mark.parametrize(
  ("probe", "sentence"),
  [
    ({"evry": 3}, r"field of probe must be one of .*did you mean 'every'"),
    ({"every": 0}, "every must be >= 1, got 0"),
    ({"examples": 14}, "examples of probe must be at most the 13 of the validation split, got 14"),
    ({"source": "other", "epsilon": -0.1}, "epsilon must be >= 0, got -0.1"),
    ({"white_box": -0.1}, "white_box must be >= 0, got -0.1"),
    ({"epsilon": 0.1}, "belongs to the examples crafted on a source"),
  ],
)
def test_probes_that_cannot_be_are_refused(probe, sentence, dataset):
  with pytest.raises(ValueError, match=sentence):
    network_for(dataset, probe=probe)


def test_a_probe_without_a_validation_split_or_its_source_is_refused(dataset, tmp_path):
  with pytest.raises(ValueError, match=r"a probe needs a validation split, .*dataset.validation"):
    network_for(dataclasses.replace(dataset, validation=None), probe={})
  with pytest.raises(ValueError, match="the probe of 'net' needs its trained source 'other'"):
    network_for(dataset, probe={**PROBE, "source": "other"}).train(0, tmp_path)


def test_a_seed_offset_makes_the_network_of_another_seed(dataset, tmp_path):
  moved = network_for(dataset, seed_offset=5).train(1, tmp_path / "moved")
  other = network_for(dataset).train(6, tmp_path / "other")
  assert moved.seed == 1
  np.testing.assert_array_equal(weights(moved)[0], weights(other)[0])
  with pytest.raises(ValueError, match="seed_offset must be >= 0, got -1"):
    network_for(dataset, seed_offset=-1)
