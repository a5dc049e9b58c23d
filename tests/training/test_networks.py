import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.data import Dataset, Split
from robust_saliency.training import (
  Network,
  Recipe,
  Selection,
  StoppedError,
  interruption,
  read_metrics,
  trainers,
)

SETTINGS = {
  "architecture": {"name": "mlp", "hidden": ()},
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "sgd", "learning_rate": 0.5},
  "batch_size": 12,
  "epochs": 2,
}


@pytest.fixture(scope="module")
def dataset():
  random = np.random.default_rng(0)
  split = Split(
    random.integers(0, 256, (20, 2, 2, 1)).astype(np.uint8),
    random.integers(0, 3, 20).astype(np.int32),
  )
  return Dataset("noise", split, None, split, ("a", "b", "c"), scale=1 / 255)


def weights(trained):
  return jax.tree.map(np.asarray, trained.variables["params"]["Dense_0"])


def softmax(z):
  exponentials = np.exp(z - z.max(axis=1, keepdims=True))
  return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.slow
def test_checkpoints_that_a_recipe_keeps_are_the_networks_of_shorter_runs(dataset, tmp_path):
  settings = {**SETTINGS, "steps": 10, "checkpoint_every": 4, "log_every": 1}
  del settings["epochs"]
  recipe = Recipe.from_config({**settings, "snapshots": 2, "averaging": 0.5})
  network = Network("kept", recipe, dataset)
  network.train(0, tmp_path / "kept")
  read = network.read(0, tmp_path / "kept")
  assert len(read.snapshots) == 2
  for variables, steps in zip(read.snapshots, (8, 10), strict=True):
    shorter = Network("shorter", Recipe.from_config({**settings, "steps": steps}), dataset)
    trained = shorter.train(0, tmp_path / str(steps))
    jax.tree.map(np.testing.assert_array_equal, variables, trained.variables)
  jax.tree.map(np.testing.assert_array_equal, read.last, read.snapshots[-1])
  # The network itself is the average.
  kernel = weights(read)["kernel"]
  assert not np.array_equal(kernel, read.last["params"]["Dense_0"]["kernel"])
  shutil.rmtree(tmp_path / "kept" / "checkpoints" / "step_000000008")
  assert network.read(0, tmp_path / "kept") is None
  # It is trained again from the checkpoint before.
  network.train(0, tmp_path / "kept")
  again = network.read(0, tmp_path / "kept")
  jax.tree.map(np.testing.assert_array_equal, again.snapshots, read.snapshots)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("steps_before", [3, 5, 9])
def test_checkpoints_that_a_recipe_keeps_outlive_a_signal(dataset, tmp_path, steps_before):
  settings = {**SETTINGS, "steps": 10, "checkpoint_every": 2, "log_every": 1, "snapshots": 4}
  del settings["epochs"]
  network = Network("kept", Recipe.from_config(settings), dataset)
  network.train(0, tmp_path / "whole")
  calls = []

  def is_asked(**_):
    calls.append(1)
    return len(calls) == steps_before

  with pytest.MonkeyPatch.context() as patched:
    patched.setattr(interruption, "is_asked", is_asked)
    with pytest.raises(StoppedError, match=f"is saved at step {steps_before} of 10"):
      network.train(0, tmp_path / "stopped")
  network.train(0, tmp_path / "stopped")
  whole, stopped = (network.read(0, tmp_path / name).snapshots for name in ("whole", "stopped"))
  assert len(whole) == len(stopped) == 4
  jax.tree.map(np.testing.assert_array_equal, whole, stopped)


def test_a_recipe_s_steps_per_call_are_taken_and_round_alone(dataset, tmp_path):
  settings = {**SETTINGS, "epochs": 6, "log_every": 2}
  networks = {
    per_call: Network("several", Recipe.from_config({**settings, **given}), dataset)
    for per_call, given in ((1, {}), (5, {"steps_per_call": 5}))
  }
  of_call = []
  trained = {}
  for per_call, network in networks.items():
    network.check()
    taken = network._mapped_step
    network._mapped_step = lambda state, data, indices, taken=taken: (
      of_call.append(indices.shape[1:]) or taken(state, data, indices)
    )
    trained[per_call] = weights(network.train(0, tmp_path / str(per_call)))
  per_device = -(-12 // jax.device_count())
  assert of_call == [*[(per_device,)] * 12, *[(steps, per_device) for steps in (5, 5, 2)]]
  np.testing.assert_allclose(trained[5]["kernel"], trained[1]["kernel"], rtol=1e-5, atol=1e-6)
  rows = [[row["step"] for row in read_metrics(tmp_path / name)] for name in ("1", "5")]
  assert rows[0] == rows[1] == [2, 4, 6, 8, 10, 12]


def test_a_network_learns_what_gradient_descent_in_numpy_learns(dataset, tmp_path):
  def trained(learning_rate):
    optimizer = {"name": "sgd", "learning_rate": learning_rate}
    settings = {**SETTINGS, "optimizer": optimizer, "batch_size": 20, "epochs": 10}
    network = Network("linear", Recipe.from_config(settings), dataset)
    return network.train(0, tmp_path / str(learning_rate))

  start, network = weights(trained(1e-30)), trained(0.5)
  x, y = dataset.to_float(dataset.train.x).reshape(20, -1), np.eye(3)[dataset.train.y]
  kernel, bias = start["kernel"].astype(np.float64), start["bias"].astype(np.float64)
  for _ in range(10):
    error = softmax(x @ kernel + bias) - y
    kernel, bias = kernel - 0.5 * x.T @ error / 20, bias - 0.5 * error.mean(axis=0)
  learnt = weights(network)
  np.testing.assert_allclose(learnt["kernel"], kernel, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(learnt["bias"], bias, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(
    network.logits_fn(dataset.to_float(jnp.asarray(dataset.train.x))),
    x @ kernel + bias,
    rtol=1e-4,
    atol=1e-4,
  )


def test_a_seed_decides_the_result_and_nothing_else_does(dataset, tmp_path):
  network = Network("linear", Recipe.from_config(SETTINGS), dataset)
  first, again, other = (
    weights(network.train(seed, tmp_path / name))["kernel"]
    for seed, name in ((0, "a"), (0, "b"), (1, "c"))
  )
  np.testing.assert_array_equal(first, again)
  assert not np.allclose(first, other)


def test_a_student_learns_its_teacher_s_probabilities(dataset, tmp_path):
  teacher = Network("teacher", Recipe.from_config({**SETTINGS, "epochs": 20}), dataset).train(
    0, tmp_path / "teacher"
  )
  settings = {
    **SETTINGS,
    "objective": {"distillation": {"temperature": 2.0}},
    "optimizer": {"name": "sgd", "learning_rate": 4.0},
    "batch_size": 20,
    "epochs": 1000,
    "log_every": 1000,
    "teacher": "teacher",
  }
  network = Network("student", Recipe.from_config(settings), dataset)
  network.check()
  student = network.train(1, tmp_path / "student", teacher=teacher)
  x = dataset.to_float(jnp.asarray(dataset.train.x))
  np.testing.assert_allclose(
    softmax(np.asarray(student.logits_fn(x))), softmax(np.asarray(teacher.logits_fn(x))), atol=0.01
  )


@pytest.mark.parametrize(
  ("change", "steps"),
  [({}, 4), ({"epochs": None, "steps": 7}, 7), ({"batch_size": 20}, 2), ({"batch_size": 50}, 2)],
)
def test_epochs_and_steps_say_how_long(change, steps):
  settings = {name: value for name, value in {**SETTINGS, **change}.items() if value is not None}
  assert Recipe.from_config(settings).total_steps(20) == steps


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"batchsize": 3}, r"got 'batchsize' \(did you mean 'batch_size'\?\)"),
    ({"objective": None}, "a model needs the field 'objective'"),
    ({"epochs": None}, "a model needs either epochs or steps, got epochs=None, steps=None"),
    ({"steps": 3}, "a model needs either epochs or steps, got epochs=2, steps=3"),
    ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
    ({"epochs": -1}, "epochs must be >= 1, got -1"),
    ({"log_every": 0}, "log_every must be >= 1, got 0"),
    ({"checkpoint_every": 0}, "checkpoint_every must be >= 1, got 0"),
    (
      {"teacher": "big"},
      "'distillation' or 'distilled_label_penalty' needs a teacher, and no other may",
    ),
    ({"objective": {"distillation": {}}}, "needs a teacher"),
  ],
)
def test_recipes_that_cannot_be_followed_are_refused(change, sentence):
  settings = {name: value for name, value in {**SETTINGS, **change}.items() if value is not None}
  with pytest.raises(ValueError, match=sentence):
    Recipe.from_config(settings)


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"architecture": {}}, "architecture needs a name, one of"),
    ({"architecture": {"name": "mpl"}}, r"got 'mpl' \(did you mean 'mlp'\?\)"),
    ({"objective": {}}, "objective needs at least one term"),
    ({"optimizer": {"name": "adam"}}, "optimizer needs a learning_rate"),
    (
      {"objective": {"adversarial": {"attack": {"name": "pgd", "epsilon": -0.1}}}},
      "epsilon must be >= 0, got -0.1",
    ),
    (
      {"objective": {"adversarial": {"attack": {"name": "pgd", "epsilon": 0.1, "norm": "l3"}}}},
      "norm must be one of linf, l2, l1; got 'l3'",
    ),
  ],
)
def test_what_a_recipe_cannot_do_is_refused_before_training(change, sentence, dataset):
  with pytest.raises(ValueError, match=sentence):
    Network("net", Recipe.from_config({**SETTINGS, **change}), dataset).check()


def test_the_training_attack_stays_within_the_data_sets_bounds(dataset, tmp_path):
  # From white pixels, FGSM on a linear model can only darken; in [-1, 1] pixels it may reach -1.
  split = Split(np.full((20, 2, 2, 1), 255, np.uint8), dataset.train.y)
  symmetric = dataclasses.replace(
    dataset, train=split, test=split, scale=2 / 255, offset=-1.0, bounds=(-1.0, 1.0)
  )
  seen = {}
  for bounds in (None, (-1.0, 1.0), (0.0, 1.0)):
    attack = {"name": "fgsm", "epsilon": 2.0, **({"bounds": bounds} if bounds else {})}
    objective = {"adversarial": {"attack": attack}}
    recipe = Recipe.from_config({**SETTINGS, "objective": objective, "batch_size": 20})
    seen[bounds] = weights(Network("net", recipe, symmetric).train(0, tmp_path / str(bounds)))
  np.testing.assert_array_equal(seen[None]["kernel"], seen[(-1.0, 1.0)]["kernel"])
  assert np.abs(seen[None]["kernel"] - seen[(0.0, 1.0)]["kernel"]).max() > 1e-3


def with_validation(dataset):
  random = np.random.default_rng(3)
  split = Split(random.integers(0, 256, (7, 2, 2, 1)).astype(np.uint8), dataset.train.y[:7])
  return dataclasses.replace(dataset, validation=split)


def trained_for(dataset, directory, **change):
  settings = {name: v for name, v in {**SETTINGS, **change}.items() if v is not None}
  network = Network("net", Recipe.from_config(settings), dataset)
  network.check()
  return network.train(0, directory)


def accuracy(trained, split, dataset):
  logits = trained.logits_fn(dataset.to_float(jnp.asarray(split.x)))
  return float((logits.argmax(axis=1) == split.y).mean())


def test_early_stopping_hands_on_the_state_with_the_best_validation_accuracy(dataset, tmp_path):
  dataset = with_validation(dataset)
  steep = {"optimizer": {"name": "sgd", "learning_rate": 20.0}, "epochs": 12}
  best = trained_for(dataset, tmp_path / "best", **steep, early_stopping={})
  rows = read_metrics(tmp_path / "best")
  scores = {row["step"]: row["validation_accuracy"] for row in rows}
  assert sorted(scores) == [2 * epoch for epoch in range(1, 13)]
  # Each score is the accuracy of a run that ends there; the first of the best is handed on.
  chosen = min(scores, key=lambda step: (-scores[step], step))
  assert chosen < 24
  for step in (2, chosen, 24):
    other = trained_for(dataset, tmp_path / str(step), **{**steep, "epochs": None, "steps": step})
    assert accuracy(other, dataset.validation, dataset) == pytest.approx(scores[step])
    if step == chosen:
      np.testing.assert_array_equal(weights(best)["kernel"], weights(other)["kernel"])
  # Once more, from its checkpoints, of which the best one stays.
  again = trained_for(dataset, tmp_path / "best", **steep, early_stopping={})
  np.testing.assert_array_equal(weights(best)["kernel"], weights(again)["kernel"])
  # Without the best one it is trained again.
  path = tmp_path / "best" / "checkpoints" / f"step_{chosen:09d}"
  (path.with_name(f"{path.name}.json")).write_text("{")
  again = trained_for(dataset, tmp_path / "best", **steep, early_stopping={})
  np.testing.assert_array_equal(weights(best)["kernel"], weights(again)["kernel"])


def test_early_stopping_leaves_the_last_step_and_the_checkpoints_before_it(dataset, tmp_path):
  steep = {**SETTINGS, "optimizer": {"name": "sgd", "learning_rate": 20.0}, "epochs": 12}
  kept = {"averaging": 0.5, "snapshots": 2, "checkpoint_every": 2, "early_stopping": {}}
  network = Network("kept", Recipe.from_config({**steep, **kept}), with_validation(dataset))
  network.train(0, tmp_path / "kept")
  read = network.read(0, tmp_path / "kept")
  whole = Network("whole", Recipe.from_config({**steep, "averaging": 0.5}), dataset)
  whole.train(0, tmp_path / "whole")
  last = whole.read(0, tmp_path / "whole").last
  scores = [row["validation_accuracy"] for row in read_metrics(tmp_path / "kept")]
  assert max(scores) > scores[-1]  # what it hands on is not the last state
  for variables in (read.last, read.snapshots[-1]):
    jax.tree.map(np.testing.assert_array_equal, variables, last)
  calls = []
  network._mapped_step = lambda *arguments: calls.append(arguments)
  network.train(0, tmp_path / "kept")  # is over, and takes no step
  assert not calls


def test_early_stopping_may_choose_on_the_test_split_as_some_papers_did(dataset, tmp_path):
  steep = {"optimizer": {"name": "sgd", "learning_rate": 20.0}, "epochs": 4}
  best = trained_for(dataset, tmp_path, **steep, early_stopping={"split": "test"})
  scores = [row["validation_accuracy"] for row in read_metrics(tmp_path)]
  assert len(set(scores)) > 1
  assert accuracy(best, dataset.test, dataset) == pytest.approx(max(scores))


def test_patience_ends_the_training(dataset, tmp_path):
  dataset = with_validation(dataset)
  steep = {"optimizer": {"name": "sgd", "learning_rate": 20.0}, "epochs": 40}
  settings = {**steep, "early_stopping": {"patience": 2, "first": 1}}
  trained = trained_for(dataset, tmp_path, **settings)
  scores = [row["validation_accuracy"] for row in read_metrics(tmp_path)]
  assert len(scores) < 40
  assert max(scores[:-2]) == scores[-3] >= max(scores[-2:])
  again = trained_for(dataset, tmp_path, **settings)
  np.testing.assert_array_equal(weights(trained)["kernel"], weights(again)["kernel"])


@pytest.mark.slow
def test_early_stopping_under_attack_measures_accuracy_under_attack(dataset, tmp_path):
  dataset = with_validation(dataset)
  attack = {"name": "fgsm", "epsilon": 1.0}
  trained_for(dataset, tmp_path / "a", epochs=20, early_stopping={"attack": attack})
  last = trained_for(dataset, tmp_path / "b", epochs=20)
  x, y = dataset.to_float(jnp.asarray(dataset.validation.x)), dataset.validation.y
  # FGSM that may change every pixel at will: each becomes 0 or 1, against the class.
  kernel = weights(last)["kernel"]
  p = softmax(np.asarray(last.logits_fn(x)))
  gradient = (p - np.eye(3)[y]) @ kernel.T
  attacked = np.clip(np.asarray(x).reshape(7, -1) + np.sign(gradient), 0, 1)
  right = (attacked @ kernel + weights(last)["bias"]).argmax(axis=1) == y
  rows = read_metrics(tmp_path / "a")
  assert rows[-1]["validation_accuracy"] == pytest.approx(right.mean())


def test_early_stopping_without_a_validation_split_is_refused(dataset, tmp_path):
  with pytest.raises(ValueError, match=r"stopping needs a validation split, .*dataset.validation"):
    trained_for(dataset, tmp_path, early_stopping={})


def test_averaged_parameters_are_the_moving_average(dataset, tmp_path):
  per_step = [
    weights(trained_for(dataset, tmp_path / str(n), epochs=None, steps=n))["kernel"]
    for n in range(1, 5)
  ]
  start = weights(
    trained_for(dataset, tmp_path / "0", optimizer={"name": "sgd", "learning_rate": 1e-30})
  )["kernel"]
  expected = start.astype(np.float64)
  for kernel in per_step:
    expected = 0.7 * expected + 0.3 * kernel
  averaged = trained_for(dataset, tmp_path / "averaged", epochs=None, steps=4, averaging=0.7)
  np.testing.assert_allclose(weights(averaged)["kernel"], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_augmentation_without_shift_or_mirror_changes_nothing_and_else_follows_the_seed(
  dataset, tmp_path
):
  plain = weights(trained_for(dataset, tmp_path / "plain"))["kernel"]
  settings = {"padding": 0, "flip_probability": 0.0}
  same = weights(trained_for(dataset, tmp_path / "same", augmentation=settings))["kernel"]
  np.testing.assert_array_equal(plain, same)
  augmented = [
    weights(trained_for(dataset, tmp_path / name, augmentation={"padding": 1}))["kernel"]
    for name in ("a", "b")
  ]
  assert np.abs(augmented[0] - plain).max() > 1e-3
  np.testing.assert_array_equal(*augmented)


def test_what_stands_around_a_shifted_image_is_the_low_bound_as_it_is_stored(dataset):
  stored = np.random.default_rng(0).uniform(size=(4, 3, 3, 1)).astype(np.float32)
  split = Split(stored, np.arange(4, dtype=np.int32))
  scaled = dataclasses.replace(dataset, train=split, scale=20.0, offset=-10.0, bounds=(-10.0, 10.0))
  augment = trainers._augmentation({"padding": 2, "flip_probability": 0.0}, scaled)
  shifted, _ = augment(jax.random.split(jax.random.key(0), 4), jnp.asarray(stored), {})
  assert scaled.to_float(np.asarray(shifted)).min() == -10.0


def test_networks_that_differ_in_what_studies_read_besides_them_are_told_apart(dataset, tmp_path):
  one = trained_for(dataset, tmp_path)
  more = dataclasses.replace(one, snapshots=(one.variables,))
  averaged = dataclasses.replace(one, last=one.variables)
  assert len({each.digest for each in (one, more, averaged)}) == 3


def test_mirroring_every_image_is_training_on_mirrored_images(dataset, tmp_path):
  split = dataset.train
  mirrored = dataclasses.replace(dataset, train=Split(split.x[:, :, ::-1], split.y))
  settings = {"padding": 0, "flip_probability": 1.0}
  a = weights(trained_for(dataset, tmp_path / "a", augmentation=settings))["kernel"]
  b = weights(trained_for(mirrored, tmp_path / "b"))["kernel"]
  np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"averaging": 1.5}, "averaging must be between 0 and 1, got 1.5"),
    ({"averaging": 1.0}, "averaging must be < 1, got 1.0"),
    ({"augmentation": {"paddin": 3}}, r"did you mean 'padding'"),
    ({"augmentation": {"padding": -3}}, "padding must be >= 0, got -3"),
    ({"early_stopping": {"patients": 3}}, r"did you mean 'patience'"),
    ({"early_stopping": {"split": "train"}}, "split of early_stopping must be one of validation, "),
    ({"early_stopping": {"every": 0}}, "every of early_stopping must be >= 1, got 0"),
    ({"early_stopping": {"attack": {"name": "pdg"}}}, "did you mean 'pgd'"),
  ],
)
def test_other_fields_that_are_not_allowed_are_refused(change, sentence, dataset, tmp_path):
  with pytest.raises(ValueError, match=sentence):
    trained_for(with_validation(dataset), tmp_path, **change)


@pytest.mark.parametrize(
  ("early_stopping", "sentence"),
  [
    ({"first": 3}, "first of early_stopping must be at most the 2 epochs of training, got 3"),
    ({"attack": {"name": "pgd"}}, "attack 'pgd' needs the setting 'epsilon'"),
    ({"attack": {"name": "pgd", "epsilon": -1}}, "early_stopping: epsilon must be >= 0, got -1"),
    ({"attack": {"name": "pgd", "epsilon": 0.1, "steps": 0}}, "early_stopping: steps must be >= 1"),
    ({"attack": "pgd"}, "settings of attack must be a mapping"),
  ],
)
def test_early_stopping_that_could_not_be_is_refused_before_training(
  early_stopping, sentence, dataset
):
  recipe = Recipe.from_config({**SETTINGS, "early_stopping": early_stopping})
  with pytest.raises((ValueError, TypeError), match=sentence):
    Network("net", recipe, with_validation(dataset)).check()


def test_the_last_step_is_evaluated_even_before_the_first_that_may_be_chosen():
  selection = Selection(lambda state: 0.0, every=5, first=100)
  assert [step for step in range(1, 13) if selection.due(step, 12)] == [12]
  assert [step for step in range(1, 13) if Selection(len, every=5).due(step, 12)] == [5, 10, 12]


@pytest.mark.parametrize(
  "field", ["architecture", "objective", "optimizer", "augmentation", "early_stopping", "probe"]
)
@pytest.mark.parametrize("value", ["abc", 5, [], True])
def test_what_must_be_a_mapping_is_said_with_the_field(field, value):
  with pytest.raises(TypeError, match=f"{field} must be a mapping"):
    Recipe.from_config({**SETTINGS, field: value})
