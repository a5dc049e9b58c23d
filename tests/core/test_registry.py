import pytest

from robust_saliency import attacks, attributions, data, models
from robust_saliency.attacks.registry import norm_of
from robust_saliency.attributions.registry import is_signed
from robust_saliency.core import registry
from robust_saliency.core.registry import importing, origins_of


@pytest.mark.parametrize(
  ("register", "what"),
  [
    (lambda name: attacks.register(name, lambda *a: None, norm="linf"), "an attack"),
    (lambda name: attributions.register(name, lambda *a: None), "an attribution"),
    (lambda name: models.register(name, object), "a model"),
    (lambda name: data.register(name, lambda: None), "a data set"),
  ],
)
def test_a_name_is_registered_once_in_every_folder(register, what):
  taken = {"an attack": "pgd", "an attribution": "lime", "a model": "mlp", "a data set": "digits"}
  with pytest.raises(ValueError, match=f"{what} named '{taken[what]}' is registered already"):
    register(taken[what])
  for name in ("", "  ", None, 5, "a\0b"):
    with pytest.raises(TypeError, match="must be text that can be printed"):
      register(name)


def test_a_refused_registration_changes_nothing_about_the_member_that_has_the_name():
  with pytest.raises(ValueError, match="registered already"):
    attacks.register("pgd", lambda *a: None, norm="linf")
  with pytest.raises(ValueError, match="registered already"):
    attributions.register("gradient", lambda *a: None, signed=False)
  assert norm_of({"name": "pgd", "norm": "l1"}) == "l1"
  assert is_signed({"name": "gradient"})


def test_an_attack_says_in_which_norm_it_counts():
  with pytest.raises(ValueError, match="needs an argument norm"):
    attacks.register("normless", lambda key, logits_fn, x, y: x)


def test_settings_are_known_by_the_files_that_their_names_come_from(monkeypatch):
  monkeypatch.setattr(registry, "_ORIGINS", {})
  table = {}
  with importing("abc"):
    registry.register(table, "mine", 1, what="attack")
  registry.register(table, "ours", 2, what="attack")
  settings = {"attacks": {"a": {"name": "mine"}}, "others": ["ours", "pgd", 3]}
  assert origins_of(settings) == {"mine": "abc"}
  assert origins_of({"name": "ours"}) == {}


def test_a_name_in_two_tables_is_known_by_both_files(monkeypatch):
  monkeypatch.setattr(registry, "_ORIGINS", {})
  for digest in ("abc", "def"):
    with importing(digest):
      registry.register({}, "mine", 1, what="attack")
  assert origins_of("mine") == {"mine": "abc def"}
