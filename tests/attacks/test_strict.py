"""Every attack in jax's strict modes, which refuse what is converted silently; new ones, too."""

import jax
import jax.numpy as jnp
import pytest

from robust_saliency.attacks import ATTACKS
from robust_saliency.core import NORMS
from robust_saliency.core.binding import settings_of

COUNTS = {"steps": 3, "queries": 3, "binary_search_steps": 2, "targets": 2, "restarts": 2}
CASES = [
  pytest.param(
    name, norm, targeted, marks=[] if norm in (None, "l2") and not targeted else pytest.mark.slow
  )
  for name, one in ATTACKS.items()
  for norm in (NORMS if "norm" in settings_of(one) else [None])
  for targeted in ((False, True) if "targeted" in settings_of(one) else (False,))
  if (name, norm) != ("deepfool", "l1")
]


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize(("name", "norm", "targeted"), CASES)
def test_an_attack_converts_neither_dtypes_nor_shapes_silently(name, norm, targeted):
  has = settings_of(ATTACKS[name])
  settings = {field: count for field, count in COUNTS.items() if field in has}
  settings |= {} if norm is None else {"norm": norm}
  settings |= {"targeted": True} if targeted else {}
  settings |= {"epsilon": 0.1} if "epsilon" in has else {}
  weights = jnp.ones((12, 5))

  def attack(key, x, y):
    return ATTACKS[name](key, lambda x: x.reshape(len(x), 12) @ weights, x, y, **settings)

  arguments = (
    jax.random.key(0),
    jax.ShapeDtypeStruct((3, 4, 3, 1), jnp.float32),
    jax.ShapeDtypeStruct((3,), jnp.int32),
  )
  with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
    assert jax.eval_shape(attack, *arguments).shape == (3, 4, 3, 1)
