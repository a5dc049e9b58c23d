"""Seeds that would train one network twice are refused."""

import re

import pytest

from robust_saliency.pipeline.seeds import (
  distinct_seeds,
  refuse_copies,
  seeds_of_each,
  seeds_of_study,
)
from robust_saliency.studies.accuracy import Accuracy
from robust_saliency.training import Recipe

PLAIN = {
  "architecture": {"name": "mlp"},
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "adam", "learning_rate": 0.01},
  "batch_size": 10,
  "steps": 3,
}
TAUGHT = {**PLAIN, "objective": {"distillation": {"temperature": 2.0}}}
PROBED = {**PLAIN, "probe": {"every": 10}, "log_every": 7}


@pytest.mark.parametrize(
  ("seeds", "error", "sentence"),
  [
    ([0, 0], ValueError, "seeds must differ, .*; got 0 at 0 and 1"),
    ([3, 1, 3], ValueError, "seeds must differ, .*; got 3 at 0 and 2"),
    ([0, 1.5], TypeError, r"seeds\[1\] must be a whole number .*, got 1.5"),
    (["12"], TypeError, r"seeds\[0\] must be a whole number .*, got '12'"),
    ([True], TypeError, r"seeds\[0\] must be a whole number .*, got True"),
    ([-1], ValueError, r"seeds\[0\] must be >= 0, got -1"),
    # JAX's key of 2**32 is that of 0.
    ([0, 2**32], ValueError, r"seeds\[1\] must be at most 4294967295, got 4294967296"),
    ("12", TypeError, "seeds must be whole numbers in a list or tuple, got '12'"),
    (3, TypeError, "seeds must be whole numbers in a list or tuple, got 3"),
  ],
)
def test_seeds_that_are_no_distinct_integers_are_refused_in_a_sentence(seeds, error, sentence):
  with pytest.raises(error, match=sentence) as caught:
    distinct_seeds(seeds)
  assert "\n" not in str(caught.value)


def test_distinct_integers_pass():
  assert distinct_seeds([0, 7, 2**32 - 1]) == [0, 7, 2**32 - 1]


def recipes(**models):
  return {name: Recipe.from_config(settings) for name, settings in models.items()}


@pytest.mark.parametrize(
  ("models", "seeds", "sentence"),
  [
    (
      {"source": {**PLAIN, "seed_offset": 1000}, "plain": PROBED}, [0, 1000],
      "model 'plain' of seed 1000 would be a copy of 'source' of seed 0: seed_offset must be "
      "larger than the seeds lie apart, got 0 and 1000",
    ),
    (
      {
        "teacher": PLAIN, "student": {**TAUGHT, "teacher": "teacher"},
        "other teacher": {**PLAIN, "seed_offset": 1},
        "other student": {**TAUGHT, "teacher": "other teacher", "seed_offset": 1},
      },
      [0, 1],
      "model 'other teacher' of seed 0 would be a copy of 'teacher' of seed 1",
    ),
    (
      {"plain": {**PLAIN, "seed_offset": 2**32 - 1}}, [0, 1],
      "model 'plain': seed_offset plus a seed must be < 2**32, got 4294967295 + 1",
    ),
  ],
)  # fmt: skip
def test_a_network_that_would_be_a_copy_of_another_seed_s_is_refused(models, seeds, sentence):
  with pytest.raises(ValueError, match=re.escape(sentence)):
    refuse_copies(recipes(**models), dict.fromkeys(models, seeds))


@pytest.mark.parametrize(
  ("models", "seeds"),
  [
    ({"source": {**PLAIN, "seed_offset": 1000}, "plain": PLAIN}, [0, 1, 2]),
    # Another recipe of the same training seed is another network,
    ({"source": {**PLAIN, "steps": 4, "seed_offset": 1}, "plain": PLAIN}, [0, 1]),
    # and so is a student of another teacher.
    (
      {
        "teacher": PLAIN, "student": {**TAUGHT, "teacher": "teacher"},
        "other": {**TAUGHT, "teacher": "teacher", "seed_offset": 1},
      },
      [0, 1],
    ),
  ],
)  # fmt: skip
def test_networks_that_differ_pass(models, seeds):
  refuse_copies(recipes(**models), dict.fromkeys(models, seeds))


def test_a_model_of_fewer_seeds_has_them_in_the_experiment_s_order():
  of = {"all": PLAIN, "some": {**PLAIN, "steps": 4, "seeds": [9, 0]}}
  assert seeds_of_each(recipes(**of), [0, 3, 9]) == {"all": [0, 3, 9], "some": [0, 9]}


@pytest.mark.parametrize(
  ("models", "sentence"),
  [
    (
      {"a": {**PLAIN, "seeds": [0, 7]}},
      "model 'a': seeds must be among the experiment's [0, 1]",
    ),
    ({"a": {**PLAIN, "seeds": []}}, "model 'a': seeds must have at least one entry, got none"),
    (
      {"a": {**PLAIN, "seeds": 0}},
      "model 'a': seeds must be whole numbers in a list",
    ),
    ({"a": {**PLAIN, "seeds": [0, 0]}}, "model 'a': seeds must differ"),
    (
      {"a": {**PLAIN, "seeds": [0]}, "b": {**TAUGHT, "teacher": "a"}},
      "model 'b': its teacher 'a' must be trained with all of its seeds [0, 1], [1] are missing",
    ),
    (
      {"a": {**PLAIN, "seeds": [1]}, "b": {**PLAIN, "probe": {"source": "a"}, "seeds": [0]}},
      "model 'b': its source 'a' must be trained with all of its seeds [0], [0] are missing",
    ),
  ],
)
def test_seeds_of_a_model_that_do_not_fit_are_refused(models, sentence):
  with pytest.raises((ValueError, TypeError), match=re.escape(sentence)):
    seeds_of_each(recipes(**models), [0, 1])


def test_a_study_takes_the_seeds_that_it_names_or_those_of_all_its_networks():
  networks = {"a": [0, 1, 2], "b": [0, 1, 2]}
  assert seeds_of_study(Accuracy(), networks, [0, 1, 2]) == (0, 1, 2)
  assert seeds_of_study(Accuracy(seeds=(2, 0)), networks, [0, 1, 2]) == (0, 2)
  assert seeds_of_study(Accuracy(), {"a": [1]}, [0, 1, 2]) == (1,)


@pytest.mark.parametrize(
  ("seeds", "sentence"),
  [
    (
      None,
      "its networks are trained with different seeds, 'a' with [0, 1] and 'b' with [1]; give "
      "seeds, of those that all have: [1]",
    ),
    (
      (0, 1),
      "seeds must be among those that all its networks are trained with; 'b' is not with [0]",
    ),
  ],
)
def test_no_seed_of_a_study_is_left_out_in_silence(seeds, sentence):
  with pytest.raises(ValueError, match=re.escape(sentence)):
    seeds_of_study(Accuracy(seeds=seeds), {"a": [0, 1], "b": [1]}, [0, 1])
