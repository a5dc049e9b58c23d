import pytest

from robust_saliency.core.binding import bind


def scale(x, *, by=1, then=0):
  return x * by + then


def shift(x, *, by=0):
  return x + by


REGISTRY = {"scale": scale, "shift": shift}


def test_the_named_function_gets_its_settings():
  assert bind(REGISTRY, {"name": "scale", "by": 3, "then": 1}, what="function")(2) == 7
  assert bind(REGISTRY, {"name": "shift"}, what="function")(2) == 2


def test_what_is_left_out_can_be_given_at_the_call():
  assert bind(REGISTRY, {"name": "scale", "by": 3}, what="function")(2, then=5) == 11


def test_a_missing_name_is_refused():
  with pytest.raises(ValueError, match=r"function needs a name, one of scale, shift; got .*3"):
    bind(REGISTRY, {"by": 3}, what="function")


def test_an_unknown_name_is_refused_with_the_nearest():
  with pytest.raises(ValueError, match=r"function must be one of .*; got 'sale'.*mean 'scale'"):
    bind(REGISTRY, {"name": "sale"}, what="function")


def test_an_unknown_setting_is_refused_with_the_nearest():
  with pytest.raises(ValueError, match=r"setting of function 'scale' must be .* got 'thn'.*'then'"):
    bind(REGISTRY, {"name": "scale", "thn": 3}, what="function")


def test_positional_arguments_are_no_settings():
  with pytest.raises(ValueError, match="setting of function 'scale' must be one of by, then"):
    bind(REGISTRY, {"name": "scale", "x": 3}, what="function")
