"""Careful evaluations: the table, the worst case, and warnings from end to end."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks import fgsm, pgd
from robust_saliency.attacks.evaluation.evaluate_attacks import COLUMNS, evaluate_attacks

KEY = jax.random.key(0)
N = 40
RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(0.3, 0.7, (N, 2, 3, 1)).astype(np.float32)
WEIGHTS = RANDOM.normal(size=(6, 4)).astype(np.float32)
Y = np.argmax(X.reshape(N, 6) @ WEIGHTS, axis=1).astype(np.int32)
Y[:4] = (Y[:4] + 1) % 4
EPSILON = 0.05


def linear(x):
  return x.reshape(len(x), -1) @ WEIGHTS


def rounded(x):
  """The same decisions nearly everywhere, without a gradient."""
  return linear(jnp.round(255 * x) / 255)


FGSM = functools.partial(fgsm, epsilon=EPSILON, loss="cw_margin")
PGD = functools.partial(pgd, epsilon=EPSILON, loss="cw_margin", steps=4, unroll=False)


def many_corners(key, logits_fn, x, y, *, queries=60):
  """A search for the best corner of the ball, without gradients."""

  def one(i, best):
    keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(key, i)
    signs = jax.vmap(lambda k: jax.random.rademacher(k, x.shape[1:], x.dtype))(keys)
    candidate = x + EPSILON * signs
    better = margin(logits_fn(candidate), y) > margin(logits_fn(best), y)
    return jnp.where(better[:, None, None, None], candidate, best)

  return jax.lax.fori_loop(0, queries, one, x)


def margin(logits, y):
  own = jax.nn.one_hot(y, logits.shape[1], dtype=bool)
  return jnp.max(jnp.where(own, -jnp.inf, logits), 1) - jnp.max(jnp.where(own, logits, -jnp.inf), 1)


@pytest.fixture(scope="module")
def evaluation():
  attacks = {
    "fgsm": FGSM,
    "pgd": PGD,
    "in turn": {"corners": many_corners, "fgsm": FGSM},
  }
  return evaluate_attacks(KEY, linear, X, Y, attacks=attacks, epsilon=EPSILON, probed=0)


def test_the_table_has_the_closed_form_of_a_linear_model(evaluation):
  logits = X.reshape(N, 6).astype(float) @ WEIGHTS
  gaps = logits[np.arange(N), Y][:, None] - logits
  reach = EPSILON * np.abs(WEIGHTS.T[Y][:, None] - WEIGHTS.T[None]).sum(axis=-1)
  others = np.arange(4) != Y[:, None]
  stands = ((gaps > reach) | ~others).all(axis=1)
  assert stands.any()
  np.testing.assert_array_equal(evaluation.robust, stands)
  rows = {row[0]: row[1:] for row in evaluation.table}
  assert all(len(row) == len(COLUMNS) for row in evaluation.table)
  assert rows["none"][0] == 1 - 4 / N
  assert rows["fgsm"][0] >= rows["worst case"][0] == rows["in turn"][0] == stands.mean()
  assert list(rows) == [
    "none",
    "fgsm",
    "pgd",
    "in turn/corners",
    "in turn/fgsm",
    "in turn",
    "worst case",
  ]


def test_the_table_has_the_passes_of_each_attack(evaluation):
  rows = {row[0]: row[1:] for row in evaluation.table}
  assert rows["fgsm"][-2:] == [1, 1]
  assert rows["pgd"][-2:] == [5, 4]
  assert rows["in turn/corners"][-2:] == [120, 0]
  first, second = rows["in turn/corners"], rows["in turn/fgsm"]
  assert first[1] == 36
  assert second[1] == 36 - first[2]
  assert rows["in turn"][1:4] == [36, first[2] + second[2], 0]
  # Of all 40 examples the four that are wrong already cost nothing.
  np.testing.assert_allclose(rows["in turn"][-2:], [120 * 36 / N + second[1] / N, second[1] / N])


def test_the_arrays_say_who_broke_what(evaluation):
  arrays = evaluation.arrays
  np.testing.assert_array_equal(arrays["robust"], evaluation.robust)
  np.testing.assert_array_equal(arrays["in turn/robust"], evaluation.robust)
  fallen = evaluation.correct & ~evaluation.robust
  np.testing.assert_array_equal(arrays["in turn/broken_by"] >= 0, fallen)
  moved = np.abs(arrays["in turn/x_adv"] - X).max(axis=(1, 2, 3))
  np.testing.assert_allclose(moved, EPSILON * fallen, atol=1e-6)


def test_a_network_that_hides_nothing_gives_no_warning(evaluation):
  assert evaluation.warnings == {}


@pytest.fixture
def compilations():
  """The programs that have been compiled since the test began, or read from JAX's cache."""
  seconds = []

  def listen(event, duration, **_):
    if event == "/jax/core/compile/backend_compile_duration":
      seconds.append(duration)

  jax.monitoring.register_event_duration_secs_listener(listen)
  yield seconds
  jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.slow
def test_a_second_network_of_an_architecture_compiles_nothing(compilations):
  def network(scale):
    weights = jnp.asarray(scale * WEIGHTS)
    return lambda x: x.reshape(len(x), -1) @ weights

  attacks = {"pgd": PGD, "in turn": {"corners": many_corners, "fgsm": FGSM}}
  evaluations = []
  for scale in (1, 2):
    network_of_this_scale = network(scale)
    compilations.clear()
    evaluations.append(
      evaluate_attacks(KEY, network_of_this_scale, X, Y, attacks=attacks, epsilon=EPSILON)
    )
  # Twice the logits of a margin attack: the same signs, so the same images.
  first, second = evaluations
  np.testing.assert_array_equal(first.robust, second.robust)
  assert first.passes == second.passes
  assert compilations == []


@pytest.mark.slow
def test_an_evaluation_that_does_not_count_warns_all_the_same(evaluation):
  attacks = {"pgd": PGD, "in turn": {"corners": many_corners, "fgsm": FGSM}}
  settings = {"attacks": attacks, "epsilon": EPSILON, "probed": 0}
  counted, uncounted = (
    evaluate_attacks(KEY, rounded, X, Y, count=count, **settings) for count in (True, False)
  )
  assert counted.warnings == uncounted.warnings
  assert "black_box_breaks_more" in uncounted.warnings
  assert uncounted.passes == {}
  assert all(row[-2:] == ["", ""] for row in uncounted.table)
  assert len({len(row) for row in uncounted.table}) == 1


@pytest.mark.slow
def test_hidden_gradients_are_found_out():
  attacks = {"pgd": PGD, "corners": many_corners}
  evaluation = evaluate_attacks(KEY, rounded, X, Y, attacks=attacks, epsilon=EPSILON)
  assert set(evaluation.warnings) >= {
    "zero_gradients",
    "black_box_breaks_more",
    "stands_any_perturbation",
  }
  rows = {row[0]: row[1:] for row in evaluation.table}
  assert rows["pgd"][0] > rows["corners"][0] == rows["worst case"][0]


@pytest.mark.slow
def test_an_attack_with_too_few_steps_and_one_that_leaves_the_ball_are_named():
  slow = functools.partial(PGD, step_size=EPSILON / 8, random_start=False)
  far = functools.partial(FGSM, epsilon=0.1)
  attacks = {"slow": slow, "far": far}
  evaluation = evaluate_attacks(KEY, linear, X, Y, attacks=attacks, epsilon=EPSILON)
  assert evaluation.warnings["not_converged"][0].startswith("slow has not converged: ")
  assert evaluation.warnings["steps_lose_their_way"][0].startswith("slow leaves ")
  (sentence,) = evaluation.warnings["leaves_the_ball"]
  assert sentence.startswith("far left the ball or the bounds with 36 of 36 images")
  rows = {row[0]: row[1:] for row in evaluation.table}
  assert rows["far"][0] == rows["none"][0]


def test_a_network_that_gets_everything_wrong_is_evaluated_too():
  wrong = (np.argmax(linear(X), 1) + 1) % 4
  evaluation = evaluate_attacks(KEY, linear, X, wrong, attacks={"fgsm": FGSM}, epsilon=EPSILON)
  assert [row[1] for row in evaluation.table] == [0.0, 0.0, 0.0]
  assert evaluation.warnings == {}
  assert not evaluation.robust.any()


@pytest.mark.slow
def test_an_evaluation_goes_on_in_its_directory(tmp_path):
  attacks = {"fgsm": FGSM, "both": {"corners": many_corners, "fgsm": FGSM}}
  settings = {"attacks": attacks, "epsilon": EPSILON, "workdir": tmp_path, "probed": 0}
  first = evaluate_attacks(KEY, linear, X, Y, **settings)
  assert sorted(path.name for path in tmp_path.iterdir()) == ["both", "fgsm"]
  again = evaluate_attacks(KEY, linear, X, Y, **settings)
  assert not any(verdicts.compile_seconds.any() for verdicts in again.verdicts.values())
  np.testing.assert_array_equal(first.arrays["both/x_adv"], again.arrays["both/x_adv"])


@dataclasses.dataclass
class Module:
  """A network as Equinox has it: it holds its arrays, so that it cannot be hashed."""

  weights: jax.Array

  def __call__(self, x):
    return x.reshape(len(x), -1) @ self.weights


def test_any_callable_is_a_network(evaluation, tmp_path):
  of_a_function = evaluation.table[:2]
  module = Module(jnp.asarray(WEIGHTS))
  networks = [
    module,
    functools.partial(lambda weights, x: x.reshape(len(x), -1) @ weights, WEIGHTS),
    jax.vmap(lambda image: image.ravel() @ WEIGHTS),
  ]
  for i, network in enumerate(networks):
    settings = {"attacks": {"fgsm": FGSM}, "epsilon": EPSILON, "workdir": tmp_path / str(i)}
    of_this_one = evaluate_attacks(KEY, network, X, Y, **settings).table[:2]
    # Clean and under FGSM: accuracy, tried, broken, outside.
    assert [row[:5] for row in of_this_one] == [row[:5] for row in of_a_function]


def test_no_attack_is_refused():
  with pytest.raises(ValueError, match="attacks must name at least one attack, got none"):
    evaluate_attacks(KEY, linear, X, Y, attacks={}, epsilon=EPSILON)
