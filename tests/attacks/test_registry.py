import jax
import numpy as np
import pytest

from robust_saliency.attacks import ATTACKS, bim, get_attack


def test_a_config_gives_the_attack_with_its_settings(network):
  attack = get_attack({"name": "bim", "epsilon": 0.1, "steps": 2})
  np.testing.assert_array_equal(
    attack(jax.random.key(0), *network), bim(jax.random.key(0), *network, epsilon=0.1, steps=2)
  )


# JSMA's budget is a number of pixels, and an argument of its own.
@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "jsma"])
def test_every_attack_can_be_given_its_epsilon_at_the_call(network, name):
  attack = get_attack({"name": name})
  x_adv = jax.eval_shape(lambda: attack(jax.random.key(0), *network, epsilon=0.0))
  assert x_adv.shape == network[1].shape


def test_an_unknown_attack_is_refused_with_the_nearest_name():
  with pytest.raises(ValueError, match=r"attack must be one of .*; got 'pgdd'.*mean 'pgd'"):
    get_attack({"name": "pgdd"})


def test_an_unknown_setting_is_refused_with_the_nearest_name():
  with pytest.raises(ValueError, match=r"setting of attack 'pgd' .* got 'epsilonn'.*'epsilon'"):
    get_attack({"name": "pgd", "epsilonn": 0.1})
