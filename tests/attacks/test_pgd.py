import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from robust_saliency.attacks import LOSSES, ascending, bim, pgd

KEY = jax.random.key(0)
EPSILON = 0.1
DUALS = {"linf": 1, "l2": 2, "l1": np.inf}


def towards(target):
  """The loss z_target - z_y, which is linear for a linear model."""
  return lambda logits, y: logits[:, target] - jnp.take_along_axis(logits, y[:, None], 1)[:, 0]


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("random_start", [True, False])
@pytest.mark.parametrize("norm", DUALS)
def test_pgd_reaches_the_closed_form_optimum_of_a_linear_two_class_model(
  linear, lengths, norm, random_start
):
  weights, logits_fn, x, y = linear(2)
  x_adv = pgd(
    KEY,
    logits_fn,
    x,
    y,
    epsilon=EPSILON,
    norm=norm,
    step_size=EPSILON / 2,
    steps=40,
    random_start=random_start,
  )
  # max <w, d> over the ball of radius epsilon is epsilon times the dual norm of w.
  w = weights[:, 0] - weights[:, 1]
  reached = (logits_fn(x_adv) - logits_fn(x)) @ jnp.array([1.0, -1.0]) * jnp.where(y == 0, -1, 1)
  np.testing.assert_allclose(reached, EPSILON * np.linalg.norm(w, DUALS[norm]), rtol=1e-4)
  assert (lengths(x_adv - x, norm) <= EPSILON * (1 + 1e-5)).all()


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("norm", DUALS)
def test_pgd_reaches_the_closed_form_optimum_of_every_pair_of_ten_classes(linear, norm):
  weights, logits_fn, x, y = linear(10)
  settings = {"epsilon": EPSILON, "norm": norm, "step_size": EPSILON / 2, "steps": 40}
  attack = jax.jit(
    lambda target: pgd(KEY, logits_fn, x, y, loss=towards(target), keep="last", **settings)
  )
  best = np.full(len(x), -np.inf)
  for target in range(10):
    margins = weights[:, [target]] - weights[:, y]
    reached = towards(target)(logits_fn(attack(target)), y)
    closed_form = towards(target)(logits_fn(x), y) + EPSILON * np.linalg.norm(
      margins, DUALS[norm], axis=0
    )
    np.testing.assert_allclose(reached, closed_form, rtol=1e-3, atol=1e-3)
    best = np.maximum(best, np.where(y == target, -np.inf, closed_form))
  # The margin loss finds the best of the nine targets itself, given enough starts.
  x_adv = pgd(KEY, logits_fn, x, y, loss="cw_margin", restarts=30, **settings)
  np.testing.assert_allclose(LOSSES["cw_margin"](logits_fn(x_adv), y), best, rtol=2e-3, atol=2e-3)


def test_pgd_finds_the_worst_vertex_of_the_box_for_cross_entropy(linear):
  _, logits_fn, x, y = linear(10)
  # The cross-entropy of a linear model is convex, so its maximum over a box is at a vertex.
  vertices = EPSILON * np.array(list(itertools.product([-1.0, 1.0], repeat=6))).reshape(-1, 3, 2, 1)
  worst = jnp.stack([LOSSES["cross_entropy"](logits_fn(x + vertex), y) for vertex in vertices])
  x_adv = pgd(KEY, logits_fn, x, y, epsilon=EPSILON, steps=20, restarts=20)
  np.testing.assert_allclose(
    LOSSES["cross_entropy"](logits_fn(x_adv), y), worst.max(axis=0), rtol=1e-4
  )


def test_pgd_reaches_the_optimum_of_box_and_ball_together(linear):
  weights, logits_fn, x, y = linear(2)
  x = jnp.where(x > 0.5, 1.0, 0.02)  # some pixels at a bound, some nearer to it than epsilon
  direction = jnp.sign((weights[:, 0] - weights[:, 1]).reshape(3, 2, 1))
  direction = direction * jnp.where(y == 0, -1, 1).reshape(-1, 1, 1, 1)
  for steps in (3, 20):
    x_adv = pgd(KEY, logits_fn, x, y, epsilon=EPSILON, steps=steps, keep="last")
    np.testing.assert_allclose(x_adv, jnp.clip(x + EPSILON * direction, 0, 1), atol=1e-6)


def test_l1_pgd_spends_its_budget_where_the_bounds_leave_room(linear):
  weights, logits_fn, x, y = linear(2)
  w = np.asarray(weights[:, 1] - weights[:, 0])
  y = jnp.zeros_like(y)
  strongest, second = np.argsort(-np.abs(w))[:2]
  # The strongest pixel stands at the bound that it would be pushed through.
  x = x.reshape(-1, 6).at[:, strongest].set(float(w[strongest] > 0)).reshape(x.shape)
  x_adv = pgd(KEY, logits_fn, x, y, epsilon=EPSILON, norm="l1", steps=60, random_start=False)
  gained = (logits_fn(x_adv) - logits_fn(x)) @ jnp.array([-1.0, 1.0])
  np.testing.assert_allclose(gained, EPSILON * np.abs(w[second]), rtol=1e-3)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("norm", DUALS)
@pytest.mark.parametrize("bounds", [pytest.param((0.0, 1.0), marks=pytest.mark.slow), (-1.0, 2.5)])
def test_results_lie_in_the_ball_and_within_the_bounds(network, lengths, norm, bounds):
  logits_fn, x, y = network
  low, high = bounds
  x = low + (high - low) * x
  epsilons = jnp.array([0.0, 0.01, 1.0, 30.0])

  def attack(epsilon, keep):
    settings = {"norm": norm, "steps": 3, "unroll": False, "keep": keep, "bounds": bounds}
    return pgd(KEY, logits_fn, x, y, epsilon=epsilon, **settings)

  for keep in ("best", "last"):
    curve = jax.jit(jax.vmap(lambda epsilon, keep=keep: attack(epsilon, keep)))(epsilons)
    assert curve.min() >= low
    assert curve.max() <= high
    for epsilon, x_adv in zip(epsilons, curve, strict=True):
      # Subtracting pixels rounds each of them.
      assert (lengths(x_adv - x, norm) <= epsilon * (1 + 1e-5) + 1e-6 * x[0].size).all()


def test_a_start_near_the_image_is_normal_noise_brought_back_into_the_ball():
  x = jnp.full((2, 40, 40, 2), 0.5)

  def noise(epsilon):
    settings = {"step_size": 0.0, "steps": 1, "keep": "last", "start_deviation": 0.01}
    start = pgd(KEY, lambda x: x[:, 0, 0], x, jnp.zeros(2, int), epsilon=epsilon, **settings)
    return np.asarray(start - x)

  # Of n normal numbers, mean and deviation within 4 standard errors.
  free = noise(0.3)
  assert abs(free.mean()) < 4 * 0.01 / np.sqrt(free.size)
  np.testing.assert_allclose(free.std(), 0.01, rtol=4 / np.sqrt(2 * free.size))
  np.testing.assert_allclose(noise(0.004), np.clip(free, -0.004, 0.004), atol=1e-7)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("norm", DUALS)
def test_epsilon_zero_gives_the_image_back(network, norm):
  logits_fn, x, y = network
  for attack in (pgd, bim):
    x_adv = attack(KEY, logits_fn, x, y, epsilon=0.0, norm=norm, steps=3, keep="last")
    np.testing.assert_array_equal(x_adv, x)


@pytest.mark.parametrize("norm", DUALS)
def test_targeted_pgd_reaches_the_target(network, norm):
  logits_fn, x, y = network
  target = (y + 1) % 5
  epsilon = {"linf": 0.5, "l2": 2.0, "l1": 8.0}[norm]
  x_adv = pgd(KEY, logits_fn, x, target, epsilon=epsilon, norm=norm, steps=50, targeted=True)
  hits = jnp.argmax(logits_fn(x_adv), axis=-1) == target
  assert hits.mean() >= 0.9
  before, after = (LOSSES["cross_entropy"](logits_fn(images), target) for images in (x, x_adv))
  assert (after < before).all()


@pytest.mark.parametrize("loss", [*LOSSES, lambda logits, y: -logits[jnp.arange(len(y)), y]])
def test_every_loss_fools_the_network(network, loss):
  logits_fn, x, y = network
  x_adv = pgd(KEY, logits_fn, x, y, epsilon=0.3, steps=20, loss=loss)
  assert (jnp.argmax(logits_fn(x_adv), axis=-1) != y).mean() >= 0.9


def test_pgd_takes_any_optax_optimiser(linear):
  weights, logits_fn, x, y = linear(2)
  x_adv = pgd(
    KEY, logits_fn, x, y, epsilon=EPSILON, steps=60, optimizer=ascending(optax.adam(0.01))
  )
  direction = jnp.sign((weights[:, 0] - weights[:, 1]).reshape(3, 2, 1))
  expected = x + EPSILON * direction * jnp.where(y == 0, -1, 1).reshape(-1, 1, 1, 1)
  np.testing.assert_allclose(x_adv, expected, atol=1e-5)


def test_bim_takes_steps_of_epsilon_over_their_number(linear):
  weights, logits_fn, x, y = linear(2)
  direction = jnp.sign((weights[:, 0] - weights[:, 1]).reshape(3, 2, 1))
  expected = x + EPSILON * direction * jnp.where(y == 0, -1, 1).reshape(-1, 1, 1, 1)
  for steps in (1, 4):
    np.testing.assert_allclose(
      bim(KEY, logits_fn, x, y, epsilon=EPSILON, steps=steps), expected, atol=1e-6
    )
  half = bim(KEY, logits_fn, x, y, epsilon=EPSILON, steps=2, step_size=EPSILON / 4)
  np.testing.assert_allclose(half, (x + expected) / 2, atol=1e-6)


@pytest.mark.parametrize("attack", [pgd, bim])
@pytest.mark.parametrize(
  ("arguments", "error", "sentence"),
  [
    ({"epsilon": -0.1}, ValueError, "epsilon must be >= 0, got -0.1"),
    ({"epsilon": "large"}, TypeError, "epsilon must be a number >= 0, got 'large'"),
    (
      {"epsilon": jnp.ones(2)},
      ValueError,
      "epsilon must be one number or one for each",
    ),
    ({"epsilon": 0.1, "step_size": -1.0}, ValueError, "step_size must be >= 0, got -1.0"),
    ({"epsilon": 0.1, "steps": 0}, ValueError, "steps must be >= 1, got 0"),
    ({"epsilon": 0.1, "steps": 2.5}, TypeError, "steps must be a whole number"),
    ({"epsilon": 0.1, "norm": "l3"}, ValueError, "norm must be one of linf, l2, l1; got 'l3'"),
    ({"epsilon": 0.1, "loss": "crossentropy"}, ValueError, "mean 'cross_entropy'"),
    ({"epsilon": 0.1, "keep": "first"}, ValueError, "keep must be one of best, last"),
    ({"epsilon": 0.1, "bounds": (1, 0)}, ValueError, "bounds must be finite with low < high"),
    ({"epsilon": 0.1, "bounds": (0.6, 1)}, ValueError, "x must lie within bounds"),
  ],
)
def test_a_bad_argument_is_refused_in_one_sentence(network, attack, arguments, error, sentence):
  logits_fn, x, y = network
  with pytest.raises(error, match=sentence):
    attack(KEY, logits_fn, x, y, **arguments)


def test_bad_images_and_labels_are_refused(network):
  logits_fn, x, y = network
  with pytest.raises(ValueError, match="x must be finite"):
    pgd(KEY, logits_fn, x.at[0].set(jnp.nan), y, epsilon=0.1)
  with pytest.raises(TypeError, match="x must hold floating-point pixels, got int32"):
    pgd(KEY, logits_fn, x.astype(jnp.int32), y, epsilon=0.1)
  with pytest.raises(ValueError, match="y must hold classes 0 to 4, got 5"):
    pgd(KEY, logits_fn, x, y.at[0].set(5), epsilon=0.1)
