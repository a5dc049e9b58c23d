import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from robust_saliency import models
from robust_saliency.objectives import weighted_sum
from robust_saliency.training import (
  Member,
  batch_indices,
  create_state,
  make_step,
  read_metrics,
  train_many,
)
from robust_saliency.training.step import AXIS

pytestmark = pytest.mark.slow  # compiles each program twice, for one and for nine networks

EXAMPLES, SHAPE = 22, (4, 4, 1)
# Smooth in its inputs, since rounding that flips a sign would grow: no batch norm, an l2 attack.
ARCHITECTURE = {"name": "mlp", "hidden": (16,), "num_classes": 3}
MODULE = models.build(**ARCHITECTURE)
OPTIMIZER = optax.sgd(0.02, momentum=0.9)


def make_data(examples=EXAMPLES):
  random = np.random.default_rng(0)
  return {
    "x": random.uniform(size=(EXAMPLES, *SHAPE)).astype(np.float32)[:examples],
    "y": random.integers(0, 3, EXAMPLES).astype(np.int32)[:examples],
  }


def step(state, data, indices):
  """Takes lambda and epsilon from the data, traced."""
  attack = {"name": "pgd", "norm": "l2", "epsilon": data["epsilon"], "step_size": 0.1, "steps": 2}
  objective = weighted_sum(
    {
      "cross_entropy": {},
      "input_gradient_penalty": {"weight": data["lambda"]},
      "adversarial": {"weight": 0.5, "attack": {**attack, "unroll": False}},
    }
  )
  apply_fn = models.apply_fn(models.build(**ARCHITECTURE, axis_name=AXIS))
  return make_step(apply_fn, objective, OPTIMIZER, to_float=lambda x: x)(state, data, indices)


def member(seed, *, examples=EXAMPLES, **own):
  variables = models.init(MODULE, jax.random.key(seed), SHAPE)

  def indices(number):
    return batch_indices(
      number, examples=examples, batch_size=10, devices=jax.device_count(), seed=seed
    )

  state = create_state(variables, OPTIMIZER, seed=seed)
  name = "-".join([f"seed_{seed}", *(f"{k}_{v}" for k, v in own.items() if np.ndim(v) == 0)])
  return Member(name, state, indices, {"lambda": 0.0, "epsilon": 0.2, **own})


@functools.cache
def members():
  return [member(seed, **{"lambda": weight}) for seed in (0, 1, 2) for weight in (0.0, 0.02, 0.05)]


SETTINGS = {"steps": 6, "log_every": 2, "checkpoint_every": 3}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
  folders = [tmp_path_factory.mktemp(name) for name in ("together", "in_turn")]
  states = [
    train_many(step, members(), make_data(), directory=folder, together=together, **SETTINGS)
    for folder, together in zip(folders, (True, False), strict=True)
  ]
  return folders, states


def test_three_seeds_and_three_lambdas_end_alike_together_and_in_turn(both):
  for together, in_turn in zip(*both[1], strict=True):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), together, in_turn
    )


def test_members_differ(both):
  kernels = [np.asarray(jax.tree.leaves(state.params)[-1]) for state in both[1][0]]
  for i, a in enumerate(kernels):
    for b in kernels[i + 1 :]:
      assert np.abs(a - b).max() > 1e-4


def test_metrics_are_those_of_each_member(both):
  for one in members():
    together, in_turn = (read_metrics(folder / one.name) for folder in both[0])
    assert [row["step"] for row in together] == [2, 3, 4, 6]
    for a, b in zip(together, in_turn, strict=True):
      assert a == pytest.approx(b, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("together", [True, False])
def test_a_run_that_is_continued_equals_one_that_was_not(together, both, tmp_path):
  for steps in (3, 6):
    states = train_many(
      step,
      members(),
      make_data(),
      directory=tmp_path,
      together=together,
      **{**SETTINGS, "steps": steps},
    )
  whole = both[1][0 if together else 1]
  jax.tree.map(np.testing.assert_array_equal, states, whole)


def test_examples_that_are_not_included_do_not_exist(tmp_path):
  included = (np.arange(EXAMPLES) < 13).astype(np.float32)
  masked = member(0, included=included)

  def in_order(examples):
    # A batch of 22 or of 13 examples, in their order.
    def indices(number):
      return batch_indices(
        number,
        examples=examples,
        batch_size=examples,
        devices=jax.device_count(),
        seed=0,
        shuffle=False,
      )

    return indices

  masked = Member("masked", masked.state, in_order(EXAMPLES), masked.own)
  few = member(0)
  few = Member("few", few.state, in_order(13), few.own)
  settings = {"together": False, "steps": 3}
  [a] = train_many(step, [masked], make_data(), directory=tmp_path / "a", **settings)
  [b] = train_many(step, [few], make_data(13), directory=tmp_path / "b", **settings)
  jax.tree.map(
    lambda p, q: np.testing.assert_allclose(p, q, rtol=1e-4, atol=1e-6), a.variables, b.variables
  )


def test_images_of_each_member_s_own_are_what_it_sees(tmp_path):
  data = make_data()
  others = [data["x"], 1 - data["x"]]
  ours = [member(0, x=x) for x in others]
  ours = [Member(str(i), m.state, m.indices, m.own) for i, m in enumerate(ours)]
  labels = {"y": data["y"]}
  settings = {"steps": 2, "together": True}
  together = train_many(step, ours, labels, directory=tmp_path / "all", **settings)
  for i, x in enumerate(others):
    [alone] = train_many(
      step, [member(0)], {**data, "x": x}, directory=tmp_path / str(i), **settings
    )
    jax.tree.map(
      lambda p, q: np.testing.assert_allclose(p, q, rtol=1e-4, atol=1e-6),
      together[i].variables,
      alone.variables,
    )


@pytest.mark.parametrize(
  ("members", "sentence"),
  [
    ([], "members must have names of their own, at least one"),
    ([member(0), member(0)], "members must have names of their own"),
    ([member(0), member(1, included=jnp.ones(3))], "members must have the same entries"),
  ],
)
def test_members_that_do_not_fit_are_refused(members, sentence, tmp_path):
  with pytest.raises(ValueError, match=sentence):
    train_many(step, members, make_data(), steps=1, directory=tmp_path)


def test_on_cpu_they_are_trained_in_turn(tmp_path):
  train_many(step, [member(0)], make_data(), directory=tmp_path, steps=1)
  assert not (tmp_path / "together").exists()
