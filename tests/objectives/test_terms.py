"""Terms of one's own: declared here, weighed in an objective like ours."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from robust_saliency.attacks import pgd
from robust_saliency.objectives import TERMS, Batch, register, term, weighted_sum

PGD = {"name": "pgd", "epsilon": 0.2, "steps": 2, "unroll": False}


@pytest.fixture(autouse=True)
def _own_terms_go():
  before = dict(TERMS)
  yield
  TERMS.clear()
  TERMS.update(before)


def divergence(logits, other):
  """KL(softmax(logits) || softmax(other)), per example."""
  p = jax.nn.softmax(logits)
  return jnp.sum(p * (jax.nn.log_softmax(logits) - jax.nn.log_softmax(other)), axis=-1)


def declare_trades():
  @term("own trades", title="Divergence under attack", passes=("clean", "attacked"))
  def trades(passes, *, attack):
    """Zhang et al. 2019: the attack increases the divergence from the clean prediction."""
    clean = passes.clean().logits
    start = jax.lax.stop_gradient(clean)
    away = partial(attack, loss=lambda logits, y: divergence(start, logits))
    return divergence(clean, passes.attacked(away).logits)


class Noisy:
  """A linear network with noise of the dropout keys in training, which notes how it is called."""

  def __init__(self):
    self.keys, self.statistics = [], []

  def __call__(self, variables, x, *, train=False, mask=None, dropout_keys=None):
    flat = x.reshape(len(x), -1)
    seen = variables["batch_stats"]["seen"]
    if train:
      self.keys.append(dropout_keys)
      self.statistics.append(float(seen))
      flat += 0.1 * jax.vmap(lambda key: jax.random.normal(key, flat.shape[1:]))(dropout_keys)
    return flat @ variables["params"], {"batch_stats": {"seen": seen + train}}


RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.normal(size=(4, 3))
X, Y = RANDOM.uniform(0.3, 0.7, size=(5, 2, 2, 1)), RANDOM.integers(0, 3, 5)


def loss_sum_of(terms, apply_fn, targets=None):
  with jax.enable_x64(True):
    batch = Batch(jnp.asarray(X), jnp.asarray(Y), jnp.ones(5), jnp.array(5), targets or {})
    variables = {"params": jnp.asarray(WEIGHTS), "batch_stats": {"seen": jnp.zeros(())}}
    keys = jax.random.split(jax.random.key(0), 5)
    return weighted_sum(terms)(keys, apply_fn, variables, batch)


def numbers_of(keys):
  """Of each call's keys, one row an example: [calls, examples, 2]."""
  return np.stack([jax.random.key_data(one) for one in keys])


def test_a_term_of_one_s_own_may_attack_the_divergence_from_the_clean_pass():
  declare_trades()

  def linear(variables, x, **_):
    return x.reshape(len(x), -1) @ variables["params"], {}

  with jax.enable_x64(True):
    loss_sum = loss_sum_of(
      {"cross_entropy": {}, "own trades": {"weight": 6.0, "attack": PGD}}, linear
    )
    keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(
      jax.random.split(jax.random.key(0), 5), 1
    )
    clean = X.reshape(5, -1) @ WEIGHTS
    x_adv = pgd(
      keys,
      lambda x: x.reshape(5, -1) @ WEIGHTS,
      jnp.asarray(X),
      jnp.asarray(Y),
      epsilon=0.2,
      steps=2,
      loss=lambda logits, y: divergence(clean, logits),
    )
  attacked = np.asarray(x_adv).reshape(5, -1) @ WEIGHTS
  log_ratio = log_softmax(clean, axis=1) - log_softmax(attacked, axis=1)
  expected = np.sum(softmax(clean, axis=1) * log_ratio)
  assert expected > 0.05
  np.testing.assert_allclose(loss_sum.metrics["own trades"][0], expected, rtol=1e-7)
  cross_entropy = -np.sum(log_softmax(clean, axis=1)[np.arange(5), Y])
  np.testing.assert_allclose(loss_sum.sum, cross_entropy + 6 * expected, rtol=1e-7)


@pytest.mark.parametrize("order", [1, -1])
def test_the_clean_pass_comes_first_and_every_attack_has_a_pass_and_keys_of_its_own(order):
  declare_trades()
  network = Noisy()
  terms = {"adversarial": {"attack": PGD}, "own trades": {"attack": PGD}, "cross_entropy": {}}
  loss_sum = loss_sum_of(dict([*terms.items()][::order]), network)
  # Three training passes, each of which finds what the one before has left.
  assert network.statistics == [0, 1, 2]
  assert float(loss_sum.collections["batch_stats"]["seen"]) == 3
  assert len(np.unique(numbers_of(network.keys).reshape(15, 2), axis=0)) == 15
  # The clean pass has the keys that it has without attacks.
  alone = Noisy()
  loss_sum_of({"cross_entropy": {}}, alone)
  np.testing.assert_array_equal(numbers_of(network.keys)[0], numbers_of(alone.keys)[0])
  assert {"accuracy", "adversarial_accuracy", "adversarial_accuracy_2"} <= set(loss_sum.metrics)


def test_dropout_of_attacks_in_training_mode_differs_from_pass_to_pass():
  @term("second attack", title="A second attack", passes=("attacked",))
  def second(passes, *, attack):
    once = passes.attacked(attack, attack_labels="predicted", attack_mode="training")
    return once.logits[:, 0]

  network = Noisy()
  adversarial = {"attack": {**PGD, "steps": 1}, "attack_mode": "training"}
  loss_sum_of({"adversarial": adversarial, "second attack": {"attack": PGD}}, network)
  # For either attack those of the network that it sees, and of the pass over what it makes.
  assert len(np.unique(numbers_of(network.keys)[:, 0], axis=0)) == 4


def test_terms_with_the_same_attack_share_its_pass():
  @term("pairing", title="Logit pairing", passes=("clean", "attacked"))
  def pairing(passes, *, attack):
    difference = passes.clean().logits - passes.attacked(attack).logits
    return jnp.sum(difference**2, axis=-1)

  network = Noisy()
  terms = {"adversarial": {"attack": PGD}, "pairing": {"attack": dict(PGD)}}
  loss_sum = loss_sum_of(terms, network)
  assert network.statistics == [0, 1]
  assert "adversarial_accuracy_2" not in loss_sum.metrics
  other = {"attack": {**PGD, "steps": 3}}
  loss_sum_of({"adversarial": {"attack": PGD}, "pairing": other}, network)
  assert network.statistics[2:] == [0, 1, 2]


def test_terms_that_draw_have_keys_of_their_own_whatever_is_asked_before():
  found = {}

  def drawing(name):
    def draw(passes):
      found[name] = passes.keys(name)
      return passes.clean().logits[:, 0]

    register(name, draw, title="Draws")

  drawing("one")
  drawing("other")
  network = Noisy()
  loss_sum_of({"one": {}, "other": {}}, network)
  first = dict(found)
  everything = numbers_of([*network.keys, *first.values()]).reshape(15, 2)
  assert len(np.unique(everything, axis=0)) == 15
  loss_sum_of({"other": {}, "one": {}, "adversarial": {"attack": PGD}}, Noisy())
  for name, keys in first.items():
    np.testing.assert_array_equal(numbers_of([found[name]]), numbers_of([keys]))


def test_what_terms_share_is_computed_for_the_first_that_asks():
  computed = []

  def shares(passes):
    def compute():
      computed.append("once")
      return 2 * passes.clean().logits[:, 0]

    return passes.shared("twice the logit", compute)

  register("one", shares, title="Shares")
  register("other", shares, title="Shares, too")
  loss_sum = loss_sum_of({"one": {}, "other": {}}, Noisy())
  assert computed == ["once"]
  np.testing.assert_allclose(*(loss_sum.metrics[name][0] for name in ("one", "other")))


def test_a_clean_pass_after_an_attacked_one_is_refused():
  # It does not say that it attacks.
  register("hidden", lambda passes, *, attack: passes.attacked(attack).logits[:, 0], title="Hidden")
  terms = {"hidden": {"attack": PGD}, "cross_entropy": {}}
  with pytest.raises(ValueError, match="the clean pass must come before all attacked ones"):
    loss_sum_of(terms, Noisy())


@pytest.mark.parametrize("value", [jnp.array(2.0), jnp.full(5, 2.0)], ids=["one number", "five"])
def test_a_number_of_the_whole_batch_counts_as_if_every_example_had_it(value):
  register("constant", lambda passes: value, title="A constant")
  loss_sum = loss_sum_of({"constant": {"weight": 3.0}}, Noisy())
  assert float(loss_sum.sum) / float(loss_sum.weight) == 6
  assert float(loss_sum.metrics["constant"][0]) == 10


def test_other_shapes_are_refused():
  register("logits", lambda passes: passes.clean().logits, title="Logits")
  with pytest.raises(
    ValueError, match=r"the term 'logits' must return one .*\[5\].* got shape \(5, 3\)"
  ):
    loss_sum_of({"logits": {}}, Noisy())


def test_a_sum_over_the_batch_outside_a_mapping_is_refused():
  register("norm", lambda passes: passes.batch.total(passes.clean().logits[:, 0]), title="Norm")
  with pytest.raises(ValueError, match="a sum over the whole batch needs the mapped axis 'batch'"):
    loss_sum_of({"norm": {}}, Noisy())


@pytest.mark.parametrize(
  ("declaration", "sentence"),
  [
    ({"name": "cross_entropy"}, r"must be a new one, none of cross_entropy, .*; got 'cross_entr"),
    ({"name": "loss"}, "must be a new one, none of .*, loss, accuracy.*; got 'loss'"),
    ({"needs": {"maps": "mapp"}}, r"needs of term 'mine' .*got 'mapp' \(did you mean 'map'\?\)"),
    ({"passes": ("clean", "atacked")}, r"passes of term 'mine' .*\(did you mean 'attacked'\?\)"),
  ],
)
def test_what_cannot_be_declared_is_refused(declaration, sentence):
  with pytest.raises(ValueError, match=sentence):
    register(
      declaration.pop("name", "mine"), lambda passes: passes.batch.mask, title="Mine", **declaration
    )
  assert "mine" not in TERMS


@pytest.mark.parametrize(
  ("targets", "sentence"),
  [
    ({}, "the term 'interpretation' needs a map of each image .*'maps' is not among"),
    (
      {"maps": jnp.zeros((5, 4, 2, 1))},
      r"the map 'maps' .* \[5, 2, 2, ...\], got .*\(5, 4",
    ),
  ],
)
def test_a_map_that_is_missing_or_of_another_size_is_refused(targets, sentence):
  register("interpretation", lambda p: p.batch.mask, title="Mine", needs={"maps": "map"})
  with pytest.raises(ValueError, match=sentence):
    loss_sum_of({"interpretation": {}}, Noisy(), targets)


@pytest.mark.parametrize(
  ("targets", "sentence"),
  [
    ({}, "the term 'every class' needs a map of each image for each class .*'maps' is not among"),
    (
      {"maps": jnp.zeros((5, 2, 2, 1))},
      r"the class maps 'maps' .* \[5, 2, 2, 1, K\], got shape \(5, 2, 2, 1\)",
    ),
  ],
)
def test_maps_of_every_class_that_are_missing_or_of_another_shape_are_refused(targets, sentence):
  register("every class", lambda p: p.batch.mask, title="Mine", needs={"maps": "class maps"})
  with pytest.raises(ValueError, match=sentence):
    loss_sum_of({"every class": {}}, Noisy(), targets)
