import jax
import numpy as np
import pytest

from robust_saliency.attacks import ATTACKS, bim, get_attack
from robust_saliency.attacks.registry import bind_attack, norm_of


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


# Of the papers: TGSM steps along signs, DeepFool and Carlini & Wagner's attack go the shortest way,
# JSMA counts pixels.
@pytest.mark.parametrize(
  ("settings", "norm"),
  [
    ({"name": "tgsm"}, "linf"),
    ({"name": "deepfool"}, "l2"),
    ({"name": "deepfool", "norm": "linf"}, "linf"),
    ({"name": "cw_l2"}, "l2"),
    ({"name": "jsma"}, "l0"),
    ({"name": "fgsm"}, "linf"),
    ({"name": "pgd", "norm": "l1"}, "l1"),
  ],
)
def test_an_attack_counts_its_changes_in_its_own_norm(settings, norm):
  assert norm_of(settings) == norm


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_attack_can_be_bound_to_a_threat_model_or_asks_for_its_own_radius(name, norm):
  if (name, norm) == ("tgsm", "l2"):
    with pytest.raises(ValueError, match="attack 'tgsm' needs the setting 'epsilon'"):
      bind_attack({"name": name}, bounds=(-1, 1), norm=norm, epsilon=0.5)
    return
  keywords = bind_attack({"name": name}, bounds=(-1, 1), norm=norm, epsilon=0.5).keywords
  assert keywords["bounds"] == (-1, 1)
  # Neither has a norm to choose, and the radius is one of the threat model's ball.
  assert keywords.get("norm", norm) == norm
  assert ("epsilon" in keywords) == (name != "jsma" and (name, norm) != ("cw_l2", "linf"))


def test_what_the_config_says_goes_first():
  settings = {"name": "pgd", "norm": "l2", "epsilon": 3.0, "bounds": (0, 2)}
  assert bind_attack(settings, bounds=(0, 1), norm="linf", epsilon=0.1).keywords == {
    field: value for field, value in settings.items() if field != "name"
  }
