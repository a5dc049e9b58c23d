import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from robust_saliency.attacks import (
  LOSSES,
  cross_entropy,
  cw_margin,
  dlr,
  get_loss,
  targeted_dlr,
)

LOGITS = np.random.RandomState(0).randn(6, 4).astype(np.float32) * 5
Y = np.array([0, 1, 2, 3, 0, 1])


def test_cross_entropy_is_minus_scipys_log_softmax():
  expected = -log_softmax(LOGITS.astype(np.float64), axis=1)[np.arange(6), Y]
  np.testing.assert_allclose(
    cross_entropy(jnp.array(LOGITS), jnp.array(Y)), expected, rtol=1e-5, atol=1e-7
  )


def test_the_margin_is_the_best_other_logit_minus_the_class_s_own():
  others = [np.delete(row, y).max() - row[y] for row, y in zip(LOGITS, Y, strict=True)]
  np.testing.assert_allclose(cw_margin(jnp.array(LOGITS), jnp.array(Y)), others, rtol=1e-6)


def test_the_margin_is_positive_exactly_where_the_class_is_missed():
  fooled = np.asarray(cw_margin(jnp.array(LOGITS), jnp.array(Y))) > 0
  np.testing.assert_array_equal(fooled, LOGITS.argmax(axis=1) != Y)


@pytest.mark.parametrize(
  ("logits", "y", "value"),
  [
    ([4.0, 1.0, 0.0], 0, -0.75),
    ([4.0, 1.0, 0.0], 1, 0.75),
    ([4.0, 1.0, 0.0], 2, 1.0),
    ([1.0, 4.0, 3.0, -2.0], 2, 1 / 3),
    ([2.0, 2.0, 2.0], 1, 0.0),
  ],
)
def test_dlr_by_hand(logits, y, value):
  loss = dlr(jnp.array([logits]), jnp.array([y]))
  np.testing.assert_allclose(loss, [value], rtol=1e-6)


def test_dlr_does_not_change_when_logits_are_shifted_and_scaled():
  once = dlr(jnp.array(LOGITS), jnp.array(Y))
  np.testing.assert_allclose(dlr(7 * jnp.array(LOGITS) + 3, jnp.array(Y)), once, rtol=1e-4)


@pytest.mark.parametrize(
  ("logits", "y", "target", "value"),
  [
    # -(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2)
    ([4.0, 1.0, 0.0, -2.0], 0, 1, -0.6),
    ([4.0, 1.0, 0.0, -2.0], 0, 3, -1.2),
    ([4.0, 1.0, 0.0, -2.0], 1, 0, 0.6),
    ([5.0, -9.0, 1.0, 3.0, 2.0], 2, 3, 2 / 3.5),
    ([2.0, 2.0, 2.0, 2.0], 1, 0, 0.0),
  ],
)
def test_targeted_dlr_by_hand(logits, y, target, value):
  loss = targeted_dlr(jnp.array([logits]), jnp.array([y]), jnp.array([target]))
  np.testing.assert_allclose(loss, [value], rtol=1e-6)


def test_targeted_dlr_refuses_three_classes():
  with pytest.raises(ValueError, match="the targeted DLR loss needs at least 4 classes, got 3"):
    targeted_dlr(jnp.zeros((1, 3)), jnp.array([0]), jnp.array([1]))


def test_dlr_refuses_two_classes():
  with pytest.raises(ValueError, match="the DLR loss needs at least 3 classes, got 2"):
    dlr(jnp.zeros((1, 2)), jnp.array([0]))


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_have_finite_gradients_for_equal_and_for_extreme_logits(name):
  for logits in (jnp.zeros((1, 4)), jnp.array([[1e4, -1e4, 0.0, 0.0]])):
    slope = jax.grad(lambda logits: LOSSES[name](logits, jnp.array([1])).sum())(logits)
    assert np.isfinite(slope).all()


@pytest.mark.peers
def test_dlr_equals_torchattacks():
  torch = pytest.importorskip("torch", reason="compares with torchattacks")
  torchattacks = pytest.importorskip("torchattacks", reason="compares with torchattacks")
  peer = torchattacks.APGD(torch.nn.Identity(), loss="dlr")
  expected = peer.dlr_loss(torch.tensor(LOGITS), torch.tensor(Y))
  np.testing.assert_allclose(dlr(jnp.array(LOGITS), jnp.array(Y)), expected, rtol=1e-5)


def test_a_loss_of_ones_own_is_taken_as_it_is():
  assert get_loss(dlr) is dlr
  assert get_loss("dlr") is dlr
  first = get_loss(lambda logits, y: logits[:, 0])
  np.testing.assert_array_equal(first(jnp.array([[3.0, 1.0]]), jnp.array([1])), [3.0])


def test_a_loss_that_is_not_one_number_for_each_example_is_refused():
  with pytest.raises(ValueError, match=r"loss must give one number for each .*, got shape \(\)"):
    get_loss(lambda logits, y: logits.mean(), targeted=True)(jnp.zeros((2, 3)), jnp.zeros(2, int))


def test_an_unknown_loss_is_refused_with_the_nearest_name():
  with pytest.raises(ValueError, match=r"loss must be one of .*; got 'margin'.*'cw_margin'"):
    get_loss("margin")


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("loss", [cross_entropy, cw_margin, dlr])
def test_losses_of_half_precision_logits_are_those_of_float32(loss):
  logits, y = jnp.array([[5.0, 4.99, 1.0], [2.0, 2.0, 2.0]], jnp.float16), jnp.array([0, 1])
  losses = loss(logits, y)
  assert losses.dtype == jnp.float32
  # Equal logits too: 1e-12 in the DLR's denominator is 0 in float16.
  np.testing.assert_array_equal(losses, loss(logits.astype(jnp.float32), y))


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_refuses_classes_that_there_are_not_and_logits_that_are_none(name):
  logits = jnp.zeros((2, 4))
  for y in (
    jnp.array([-1, 0]),
    jnp.array([0, 4]),
    jnp.array([0.0, 1.0]),
    jnp.eye(4, dtype=int)[:2],
  ):
    with pytest.raises((ValueError, TypeError), match="y must h"):
      LOSSES[name](logits, y)
  for wrong in (jnp.zeros(4), jnp.zeros((2, 4, 1)), jnp.zeros((2, 4), int), [[0.0] * 4] * 2):
    with pytest.raises((ValueError, TypeError), match="logits must be"):
      LOSSES[name](wrong, jnp.array([0, 1]))
