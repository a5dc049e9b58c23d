import inspect
import pickle

import jax
import numpy as np
import pytest

from robust_saliency import attacks
from robust_saliency.attacks import ATTACKS, bim, get_attack, registry
from robust_saliency.attacks.registry import attack, bind_attack, norm_of

# The loop that attacks are made of, and what runs them over a data set, on the host.
NO_ATTACKS = {"ascend", "autoattack", "evaluate_attacks", "run_attacks"}


def test_every_attack_that_is_imported_has_declared_itself_under_its_own_name():
  convention = ["key", "logits_fn", "x", "y"]
  public = {name: getattr(attacks, name) for name in attacks.__all__}
  found = {
    name: one
    for name, one in public.items()
    if inspect.isfunction(one) and [*inspect.signature(one).parameters][:4] == convention
  }
  assert found.keys() - NO_ATTACKS == ATTACKS.keys()
  assert all(ATTACKS[name] is found[name] for name in ATTACKS)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_declared_attack_is_still_a_plain_function_of_its_file(name):
  assert ATTACKS[name].__name__ == name
  assert pickle.loads(pickle.dumps(ATTACKS[name])) is ATTACKS[name]


def test_a_declaration_enters_the_function_itself_with_its_norm(monkeypatch):
  for table in ("ATTACKS", "FIXED_NORMS"):
    monkeypatch.setattr(registry, table, dict(getattr(registry, table)))

  @attack
  def wave(key, logits_fn, x, y, *, norm="l1"):
    return x

  @attack(norm="l2")
  def ripple(key, logits_fn, x, y):
    return x

  assert (registry.ATTACKS["wave"], registry.ATTACKS["ripple"]) == (wave, ripple)
  assert (norm_of({"name": "wave"}), norm_of({"name": "ripple"})) == ("l1", "l2")
  with pytest.raises(ValueError, match="an attack named 'wave' is registered already"):
    attack(wave)
  with pytest.raises(ValueError, match="attack 'still' needs an argument norm, or the norm"):

    @attack
    def still(key, logits_fn, x, y):
      return x


def test_a_config_gives_the_attack_with_its_settings(network):
  attack = get_attack({"name": "bim", "epsilon": 0.1, "steps": 2})
  np.testing.assert_array_equal(
    attack(jax.random.key(0), *network), bim(jax.random.key(0), *network, epsilon=0.1, steps=2)
  )


# JSMA's budget is a number of pixels, and an argument of its own.
@pytest.mark.quick_cases(4)
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
