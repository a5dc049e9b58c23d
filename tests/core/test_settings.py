import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pytest

from robust_saliency.core import settings
from robust_saliency.core.settings import Count, Fraction, NonNegative, Positive, Seed, read


@dataclasses.dataclass(frozen=True)
class Attack:
  name: Literal["pgd", "fgsm"]
  epsilon: NonNegative
  steps: Count = 10
  targeted: bool = False


@dataclasses.dataclass(frozen=True)
class Study:
  attacks: Mapping[str, Attack]
  epsilons: tuple[NonNegative, ...]
  bounds: tuple[float, float] = (0.0, 1.0)
  keep: Fraction | None = None
  seeds: tuple[Seed, ...] = (0,)
  temperature: Positive = 1.0
  notes: Any = None
  label: str = "study"


GOOD = {
  "attacks": {"pgd": {"name": "pgd", "epsilon": 0.1, "steps": 3}},
  "epsilons": [0, 0.5],
  "notes": {"a": [1, None]},
}

NONSENSE: dict[str, list[Any]] = {
  "attacks": [None, [], 5, "pgd", {"": {}}, {"pgd": 5}, {"pgd": {}}, {3: {}}],
  "epsilons": [None, 5, "0.1", "abc", {"a": 1}, [True], ["0.1"], [-0.1], [math.nan], [math.inf]],
  "bounds": [[0], [0, 1, 2], 0.5, None, ["a", "b"], [0, 10**400]],
  "keep": [1.5, -0.1, "a", True, [0.5], math.nan],
  "seeds": [5, [1.5], [-1], ["1"], [True], [2**32], [10**400], None],
  "temperature": [0, -1, math.nan, "1", None, 10**400],
  "notes": [object(), {"a": object()}, [{1: 2}], {"a": 10**5000}, [math.nan], -math.inf],
  "label": [None, 5, "", "  ", "a\0b", ["a"]],
}


def test_numbers_defaults_and_nested_fields_are_read():
  study = read(Study, GOOD, "study")
  assert study == Study({"pgd": Attack("pgd", 0.1, 3)}, (0.0, 0.5), notes={"a": (1, None)})
  assert type(study.epsilons[0]) is float


def test_plain_settings_are_json_that_reads_to_the_same():
  study = read(Study, GOOD, "study")
  again = read(Study, json.loads(json.dumps(settings.plain(study))), "study")
  assert settings.plain(again) == settings.plain(study)


def test_numpy_numbers_are_numbers():
  assert read(Attack, {"name": "pgd", "epsilon": np.float32(0.5), "steps": np.int64(2)}, "a") == (
    Attack("pgd", 0.5, 2)
  )


@pytest.mark.parametrize(
  ("field", "value"), [(field, value) for field, values in NONSENSE.items() for value in values]
)
def test_nonsense_is_refused_in_a_short_sentence_that_names_the_field(field, value):
  with pytest.raises((ValueError, TypeError)) as caught:
    read(Study, {**GOOD, field: value}, "study")
  message = str(caught.value)
  assert message.startswith((f"study.{field}", f"field of study.{field}"))
  assert "got" in message
  assert len(message) < 200


def test_every_missing_required_field_is_named():
  for field in ("attacks", "epsilons"):
    with pytest.raises(ValueError, match=f"study needs the field '{field}'"):
      read(Study, {name: value for name, value in GOOD.items() if name != field}, "study")


def test_an_unknown_field_suggests_the_nearest():
  with pytest.raises(ValueError, match="did you mean 'epsilons'"):
    read(Study, {**GOOD, "epsilon": 0.1}, "study")
  with pytest.raises(ValueError, match=r"field of study.attacks.pgd .* got 'step'"):
    read(Study, {**GOOD, "attacks": {"pgd": {"name": "pgd", "epsilon": 0.1, "step": 2}}}, "study")


def test_lists_of_radii_must_differ_and_not_be_empty():
  assert read(settings.Radii, [0, 0.1], "epsilons") == (0.0, 0.1)
  for value in ([], [0.1, 0.1], (0, 0.0)):
    with pytest.raises(ValueError, match="epsilons must have"):
      read(settings.Radii, value, "epsilons")


def test_settings_that_are_no_fields_are_refused():
  for value in (None, 5, "abc", [1], True):
    with pytest.raises(TypeError, match="study must be fields with values"):
      read(Study, value, "study")


def test_lists_are_read_whatever_an_annotation_calls_them():
  for kind in (tuple[int, ...], Sequence[int]):
    assert settings.is_readable(kind)
    assert read(kind, [1, 2], "hidden") == (1, 2)
    with pytest.raises(TypeError, match=r"hidden\[1\] must be a whole number, got 0.5"):
      read(kind, [1, 0.5], "hidden")


@pytest.mark.parametrize("kind", [None, Any, int | str, dict[str, int], np.ndarray, "int"])
def test_annotations_that_say_nothing_of_a_config_are_not_readable(kind):
  assert not settings.is_readable(kind)
