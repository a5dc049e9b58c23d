"""A draw of the fuzzer's cases; `make fuzz` runs more of them, with other seeds."""

import inspect

import pytest

from tests.fuzz import call_arguments, call_cases, config_cases, config_fields, nonsense
from tests.fuzz.cases import ACCEPTED, LONG, TRACEBACK, UNNAMED, Case, judge
from tests.fuzz.fuzzer import CASES, described, drawn, outcomes

FEW, SEED = 60, 0


@pytest.mark.parametrize("kind", CASES)
def test_nonsense_is_refused_in_a_short_sentence_that_names_its_place(kind):
  wrong = [described(one) for one in outcomes(kind, drawn(kind, SEED, FEW)) if one.finding]
  assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", CASES)
def test_a_seed_draws_the_same_cases_again_and_another_seed_others(kind):
  assert drawn(kind, 1, 50) == drawn(kind, 1, 50) != drawn(kind, 2, 50)
  assert len({case.what for case in CASES[kind]()}) > 0.9 * len(CASES[kind]())


def test_every_public_function_is_called_and_every_argument_has_its_kind():
  for folder, module in call_arguments.FOLDERS.items():
    functions = {name for name in module.__all__ if inspect.isfunction(getattr(module, name))}
    called = set(call_arguments.GIVEN[folder])
    assert functions - called == {n for f, n in call_arguments.NO_CALLS if f == folder}
    assert called <= set(module.__all__)
    for name in called:
      for argument, parameter in call_cases.arguments_of(folder, name).items():
        assert call_cases.nonsense_for(name, argument, parameter), (name, argument)


def test_every_field_has_its_kind():
  for make in config_fields.CONFIGS.values():
    for path in config_fields.paths(make()):
      assert nonsense.of(*config_fields.kind_of(path))


def test_the_configs_and_calls_are_good_before_they_are_spoilt():
  for name in ("fgsm", "cross_entropy"):
    call_cases.call(getattr(call_arguments.attacks, name), call_arguments.GIVEN["attacks"][name])
  for make in config_fields.CONFIGS.values():
    config_cases.check(config_cases.reduced(dict(make()), ("title",)))


@pytest.mark.slow
@pytest.mark.parametrize("name", config_fields.CONFIGS)
def test_every_part_of_a_config_is_good_before_it_is_spoilt(name):
  config = config_fields.CONFIGS[name]()
  for path in config_fields.paths(config):
    if path[0] in ("models", "studies") and len(path) == 2:
      config_cases.check(config_cases.reduced(dict(config), path))


@pytest.mark.slow
@pytest.mark.parametrize("folder", call_arguments.FOLDERS)
def test_every_call_is_good_before_it_is_spoilt(folder):
  for name, given in call_arguments.GIVEN[folder].items():
    call_cases.call(getattr(call_arguments.FOLDERS[folder], name), given)


def raises(error):
  def run():
    raise error

  return run


@pytest.mark.parametrize(
  ("run", "wrong"),
  [
    (lambda: None, ACCEPTED),
    (raises(KeyError("steps")), TRACEBACK),
    (raises(RecursionError("steps")), TRACEBACK),
    (raises(ValueError("'int' object is not iterable")), UNNAMED),
    (raises(ValueError("footsteps must be many")), UNNAMED),
    (raises(ValueError("steps must be " + "many " * 100)), LONG),
  ],
)
def test_what_is_wrong_is_found(run, wrong):
  assert judge(Case("x", ("steps",), run)).wrong == wrong


def test_a_sentence_that_names_the_place_is_right():
  for sentence in ("steps must be >= 1", "--steps=3: steps", "model 'a': attack.steps must be"):
    assert judge(Case("x", ("steps",), raises(ValueError(sentence)))) is None
