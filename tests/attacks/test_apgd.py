import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from robust_saliency import models
from robust_saliency.attacks import apgd, apgd_targeted, cross_entropy
from robust_saliency.core import example_keys

KEY = jax.random.key(0)
EPSILON = 0.1
DUALS = {"linf": 1, "l2": 2, "l1": np.inf}


def run(attack, model, key=KEY, **settings):
  """The attack compiled as a whole, which is faster than operation by operation."""
  logits_fn, x, y = model
  return jax.jit(lambda key, x, y: attack(key, logits_fn, x, y, **settings))(key, x, y)


def fooled(logits_fn, x, y):
  return np.asarray(logits_fn(x).argmax(axis=1) != y)


@pytest.mark.parametrize(("norm", "random_start"), [("linf", True), ("l2", False), ("l1", True)])
def test_apgd_reaches_the_closed_form_optimum_of_a_linear_two_class_model(
  linear, lengths, norm, random_start
):
  weights, logits_fn, x, y = linear(2)
  settings = {"epsilon": EPSILON, "norm": norm, "random_start": random_start}
  x_adv = run(apgd, (logits_fn, x, y), **settings)
  # max <w, d> over the ball of radius epsilon is epsilon times the dual norm of w.
  w = weights[:, 0] - weights[:, 1]
  reached = (logits_fn(x_adv) - logits_fn(x)) @ jnp.array([1.0, -1.0]) * jnp.where(y == 0, -1, 1)
  np.testing.assert_allclose(reached, EPSILON * np.linalg.norm(w, DUALS[norm]), rtol=2e-3)
  assert (lengths(x_adv - x, norm) <= EPSILON * (1 + 1e-5)).all()


def test_apgd_reaches_the_vertex_where_box_and_ball_meet(linear):
  weights, logits_fn, x, y = linear(2)
  x = jnp.where(x > 0.5, 1.0, 0.02)  # some pixels at a bound, some nearer to it than epsilon
  direction = jnp.sign((weights[:, 0] - weights[:, 1]).reshape(3, 2, 1))
  direction = direction * jnp.where(y == 0, -1, 1).reshape(-1, 1, 1, 1)
  x_adv = run(apgd, (logits_fn, x, y), epsilon=EPSILON, steps=20)
  np.testing.assert_allclose(x_adv, jnp.clip(x + EPSILON * direction, 0, 1), atol=1e-6)


def test_l1_apgd_fills_the_knapsack_of_a_linear_model():
  keys = jax.random.split(jax.random.key(3), 3)
  w = jax.random.normal(keys[0], (36,))
  x = jax.random.uniform(keys[1], (8, 6, 6, 1))
  x = jnp.where(jax.random.uniform(keys[2], x.shape) < 0.3, jnp.round(x), x)

  def logits_fn(images):
    return jnp.stack([jnp.zeros(len(images)), images.reshape(len(images), -1) @ w], axis=1)

  # What a pixel is worth per unit of l1 is |w|, what it holds its room: greedy is optimal.
  flat = np.asarray(x, np.float64).reshape(8, -1)
  order = np.argsort(-np.abs(w))
  room = np.where(w > 0, 1 - flat, flat)[:, order]

  settings = {"norm": "l1", "loss": "cw_margin"}
  attack = jax.jit(
    lambda epsilon: apgd(KEY, logits_fn, x, jnp.zeros(8, int), epsilon=epsilon, **settings)
  )
  for epsilon in (0.5, 2.0, 6.0):
    taken = np.diff(np.minimum(np.cumsum(room, axis=1), epsilon), axis=1, prepend=0)
    best = taken @ np.abs(w)[order]
    change = np.asarray(attack(epsilon), np.float64) - np.asarray(x, np.float64)
    gained = change.reshape(8, -1) @ np.asarray(w, np.float64)
    assert (gained <= best * (1 + 1e-4)).all()
    np.testing.assert_allclose(gained, best, rtol=0.01)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("norm", ["linf", "l1"])
def test_targeted_apgd_breaks_what_the_closed_form_says_can_be_broken(linear, norm):
  weights, logits_fn, x, _ = linear(10, batch=64)
  logits = logits_fn(x)
  y = logits.argmax(axis=1)
  epsilon = {"linf": 0.1, "l1": 0.29}[norm]
  margins = weights[:, None, :] - weights[:, y][:, :, None]  # [pixels, batch, classes]
  reachable = logits - logits.max(axis=1, keepdims=True)
  reachable += epsilon * np.linalg.norm(margins, DUALS[norm], axis=0)
  best = np.where(np.arange(10) == y[:, None], -np.inf, reachable).max(axis=1)
  x_adv = run(apgd_targeted, (logits_fn, x, y), epsilon=epsilon, norm=norm, keep="first")
  clear = np.abs(best) > 0.01
  assert clear.sum() > 50
  np.testing.assert_array_equal(fooled(logits_fn, x_adv, y)[clear], (best > 0)[clear])
  assert 5 < (best > 0).sum() < 59


class Recorder:
  """A model that keeps what it is asked and answers, in order."""

  def __init__(self, logits_fn):
    self.logits_fn, self.images, self.logits = logits_fn, [], []

  def __call__(self, images):
    logits = self.logits_fn(images)
    jax.debug.callback(self._keep, images, logits, ordered=True)
    return logits

  def _keep(self, images, logits):
    self.images.append(np.asarray(images))
    self.logits.append(np.asarray(logits))


def visits(network, **settings):
  """(result, images visited [T, B, ...], whether they fool [T, B], their losses [T, B])."""
  logits_fn, x, y = network
  recorder = Recorder(logits_fn)
  x_adv = jax.jit(lambda x: apgd(KEY, recorder, x, y, **settings))(x)
  x_adv.block_until_ready()
  jax.effects_barrier()
  logits = np.stack(recorder.logits)
  losses = np.stack([cross_entropy(jnp.asarray(one), y) for one in logits])
  return x_adv, np.stack(recorder.images), logits.argmax(-1) != y, losses


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(("norm", "restarts"), [("linf", 3), ("l2", 1)])
def test_the_best_of_all_images_visited_is_returned(network, norm, restarts):
  epsilon = {"linf": 0.05, "l2": 0.3}[norm]
  settings = {"norm": norm, "epsilon": epsilon, "steps": 12, "unroll": False}
  x_adv, images, fools, losses = visits(network, restarts=restarts, **settings)
  # One call of the model per step, and one for the last image of each run.
  assert len(images) == restarts * 13
  best = np.argmax(np.where(fools == fools.any(axis=0), losses, -np.inf), axis=0)
  for n in range(len(x_adv)):
    np.testing.assert_array_equal(x_adv[n], images[best[n], n])
  assert 0 < fools.any(axis=0).sum() < len(x_adv)


def test_the_first_image_that_fools_is_returned_and_ends_the_search(network):
  settings = {"epsilon": 0.5, "steps": 60, "restarts": 2, "keep": "first"}
  x_adv, images, fools, _ = visits(network, **settings)
  assert fools.any(axis=0).all()
  for n in range(len(x_adv)):
    np.testing.assert_array_equal(x_adv[n], images[np.argmax(fools[:, n]), n])
  assert len(images) < 60


def test_the_first_search_goes_on_for_images_not_yet_broken(network):
  settings = {"epsilon": 0.05, "steps": 12, "restarts": 2, "keep": "first", "unroll": False}
  x_adv, images, fools, losses = visits(network, **settings)
  broken = fools.any(axis=0)
  assert 0 < broken.sum() < len(broken)
  assert len(images) == 2 * 13
  for n in range(len(x_adv)):
    kept = np.argmax(fools[:, n] if broken[n] else losses[:, n])
    np.testing.assert_array_equal(x_adv[n], images[kept, n])


def test_l1_apgd_spends_its_steps_on_ever_smaller_balls(network, lengths):
  x = network[1]
  _, images, _, _ = visits(network, norm="l1", epsilon=0.4, steps=20, unroll=False)
  # Every phase evaluates its start and each of its steps.
  assert len(images) == (6 + 1) + (6 + 1) + (8 + 1)
  radii = np.repeat([1.2, 0.8, 0.4], [7, 7, 9])
  reached = np.stack([lengths(one - x, "l1") for one in images])
  assert (reached <= radii[:, None] * (1 + 1e-5)).all()
  assert (reached.max(axis=1) > 0.99 * radii).all()


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "keep"), [("l2", "best"), ("l1", "first")])
def test_an_example_s_result_does_not_depend_on_its_batch(network, norm, keep):
  logits_fn, x, y = network
  repeated = [jnp.tile(a, (8, *[1] * (a.ndim - 1))) for a in (x, y)]
  keys = example_keys(KEY, 128)
  settings = {"epsilon": 0.1, "norm": norm, "steps": 12, "keep": keep}
  attack = jax.jit(lambda keys, x, y: apgd(keys, logits_fn, x, y, **settings))
  together = attack(keys, *repeated)
  for n in (0, 37, 127):
    alone = attack(keys[n : n + 1], *(a[n : n + 1] for a in repeated))
    # Rounding differs between batch sizes, and grows with the steps.
    np.testing.assert_allclose(alone[0], together[n], atol=2e-4)


@pytest.mark.slow
def test_chunks_and_unrolling_change_nothing(network):
  settings = {"epsilon": 0.1, "steps": 2, "targets": 2}
  expected = run(apgd_targeted, network, **settings)
  chunked = run(apgd_targeted, network, chunk_size=5, unroll=False, **settings)
  np.testing.assert_allclose(chunked, expected, atol=1e-6)


SHAPES = {"linf": (1, 2, 2, 1), "l2": (3, 7), "l1": (2, 5, 1, 2)}


@pytest.fixture(scope="module")
def compiled():
  """Norm -> (key, epsilon) -> (images, attacked images) of a random network, compiled once."""

  def build(norm, shape):
    def attack(key, epsilon):
      keys = jax.random.split(key, 3)
      weights = 3 * jax.random.normal(keys[0], (int(np.prod(shape[1:])), 3))
      # Many pixels at the bounds.
      x = jnp.clip(jax.random.uniform(keys[1], shape, minval=-1.5, maxval=2.5), -1, 2)
      y = jnp.arange(shape[0]) % 3
      logits_fn = lambda x: jnp.sin(x.reshape(shape[0], -1) @ weights)  # noqa: E731
      settings = {"norm": norm, "steps": 12, "bounds": (-1.0, 2.0), "loss": "dlr"}
      return x, apgd(keys[2], logits_fn, x, y, epsilon=epsilon, **settings)

    return jax.jit(attack)

  return {norm: build(norm, shape) for norm, shape in SHAPES.items()}


@hypothesis.given(
  st.sampled_from(list(SHAPES)),
  st.sampled_from([0.0, 1e-6, 0.01, 0.3, 1.0, 40.0]),
  st.integers(0, 2**31 - 1),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_results_lie_in_the_ball_and_within_the_bounds(compiled, lengths, norm, epsilon, seed):
  x, x_adv = map(np.asarray, compiled[norm](jax.random.key(seed), epsilon))
  assert x_adv.min() >= -1
  assert x_adv.max() <= 2
  # Pixels of size 2 are rounded to 1.2e-7.
  change = x_adv.astype(np.float64) - x
  assert (lengths(change, norm) <= epsilon + 1e-6 * max(1, epsilon)).all()
  if epsilon == 0:
    np.testing.assert_array_equal(x_adv, x)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("norm", ["linf", "l1"])
def test_a_model_that_breaks_gives_no_nan_images(network, norm):
  _, x, y = network
  broken = lambda x: jnp.log(x.reshape(len(x), -1)[:, :5] - 0.5)  # noqa: E731
  attack = apgd_targeted if norm == "linf" else apgd
  x_adv = run(attack, (broken, x, y), epsilon=0.3, norm=norm, steps=5, unroll=False)
  assert np.isfinite(x_adv).all()


def test_images_wrong_from_the_start_are_given_back_by_the_first_search(network):
  logits_fn, x, y = network
  wrong = (y + 1) % 5
  x_adv = run(apgd_targeted, (logits_fn, x, wrong), epsilon=0.1, keep="first")
  np.testing.assert_array_equal(x_adv, x)


def test_targets_are_as_many_as_other_classes_at_most(network):
  settings = {"epsilon": 0.1, "steps": 2, "unroll": False}
  four, hundred = (run(apgd_targeted, network, targets=n, **settings) for n in (4, 100))
  np.testing.assert_array_equal(hundred, four)


def test_losses_that_need_more_classes_are_refused(linear):
  _, *model = linear(2)
  with pytest.raises(ValueError, match="the DLR loss needs at least 3 classes, got 2"):
    run(apgd, model, epsilon=0.1, loss="dlr")
  _, *model = linear(3)
  with pytest.raises(ValueError, match="the targeted DLR loss needs at least 4 classes, got 3"):
    run(apgd_targeted, model, epsilon=0.1)


@pytest.mark.parametrize(
  ("arguments", "error", "sentence"),
  [
    ({"epsilon": -0.1}, ValueError, "epsilon must be >= 0, got -0.1"),
    (
      {"epsilon": jnp.ones(2)},
      ValueError,
      "epsilon must be one number or one for each",
    ),
    ({"epsilon": 0.1, "steps": 0}, ValueError, "steps must be >= 1, got 0"),
    ({"epsilon": 0.1, "norm": "l3"}, ValueError, "norm must be one of linf, l2, l1; got 'l3'"),
    ({"epsilon": 0.1, "keep": "last"}, ValueError, "keep must be one of best, first"),
    ({"epsilon": 0.1, "rho": 1.5}, ValueError, "rho must be between 0 and 1, got 1.5"),
    ({"epsilon": 0.1, "chunk_size": 0}, ValueError, "chunk_size must be >= 1, got 0"),
    ({"epsilon": 0.1, "bounds": (1, 0)}, ValueError, "bounds must be finite with low < high"),
  ],
)
@pytest.mark.parametrize("attack", [apgd, apgd_targeted])
def test_a_bad_argument_is_refused_in_one_sentence(network, attack, arguments, error, sentence):
  with pytest.raises(error, match=sentence):
    attack(KEY, *network, **arguments)


def test_bad_counts_are_refused(network):
  with pytest.raises(ValueError, match="restarts must be >= 1, got 0"):
    apgd(KEY, *network, epsilon=0.1, restarts=0)
  with pytest.raises(ValueError, match="targets must be >= 1, got 0"):
    apgd_targeted(KEY, *network, epsilon=0.1, targets=0)


@pytest.mark.slow
def test_twenty_restarts_on_a_thousand_images_fit_in_two_gigabytes():
  module = models.build("ross")
  variables = jax.eval_shape(lambda: models.init(module, jax.random.key(0), (28, 28, 1)))

  def attack(variables, key, x, y):
    logits_fn = models.logits_fn(module, variables)
    return apgd(key, logits_fn, x, y, epsilon=0.3, restarts=20, chunk_size=250)

  key = jax.eval_shape(lambda: jax.random.key(0))
  x = jax.ShapeDtypeStruct((1000, 28, 28, 1), jnp.float32)
  y = jax.ShapeDtypeStruct((1000,), jnp.int32)
  compiled = jax.jit(attack).lower(variables, key, x, y).compile()
  assert compiled.memory_analysis().temp_size_in_bytes < 2 * 2**30
