"""The list of all fields that a config may have."""

import dataclasses
import inspect
import re

import pytest

from robust_saliency import attacks, attributions, data, models, objectives, studies
from robust_saliency.configs import ordered
from robust_saliency.core.binding import settings_of
from robust_saliency.pipeline import field_list, schema
from robust_saliency.training import Recipe, optimizers


@pytest.fixture(scope="module")
def places():
  """Heading -> field -> its words."""
  found, place = {}, None
  for line in field_list.lines():
    if line and not line.startswith(" "):
      place = found.setdefault(line, {})
    elif match := re.match(r"  (\w+) +(.*)", line):
      name = match[1]
      place[name] = match[2]
    elif line:
      place[name] += f" {line.strip()}"
  return found


def test_the_list_fits_80_columns():
  assert max(map(len, field_list.lines())) <= 80


@pytest.mark.parametrize(
  ("heading", "names"),
  [
    ("config.models.NAME.architecture, name {}", models.names()),
    ("config.models.NAME.optimizer, name {}", optimizers.OPTIMIZERS),
    ("config.models.NAME.objective.{}", objectives.TERMS),
    ("config.studies.NAME, kind {}", studies.STUDIES),
    ("attack, and each of attacks, name {}", attacks.ATTACKS),
    ("attribution, name {}", attributions.ATTRIBUTIONS),
  ],
)
def test_every_member_that_a_config_can_name_has_its_fields(places, heading, names):
  assert {heading.format(name) for name in names} <= set(places)


def test_every_keyword_that_a_config_can_give_is_listed(places):
  """The others are arrays and functions, which no config holds."""
  for name, attack in attacks.ATTACKS.items():
    hidden = set(settings_of(attack)) - set(places[f"attack, and each of attacks, name {name}"])
    assert hidden <= {"optimizer"}
  for name, attribution in attributions.ATTRIBUTIONS.items():
    hidden = set(settings_of(attribution)) - set(places[f"attribution, name {name}"])
    assert hidden <= {"features_fn", "head_fn"}
  assert set(places["config.models.NAME"]) == {one.name for one in dataclasses.fields(Recipe)}


def test_defaults_are_those_of_the_signatures(places):
  words = places["attack, and each of attacks, name pgd"]
  for name, parameter in inspect.signature(attacks.pgd).parameters.items():
    if name in words and parameter.default not in (None, parameter.empty):
      assert words[name].endswith(f"default: {parameter.default}")
  assert words["epsilon"] == "number; required"


@pytest.mark.parametrize(
  ("place", "field", "words"),
  [
    ("config.dataset", "name", f"one of {', '.join(data.names())}; required"),
    ("config.dataset", "bounds", "two numbers; default: none"),
    ("config.models.NAME", "shuffle", "true or false; default: True"),
    ("attribution, name rise", "keep", "number; default: 0.5"),
    ("attack, and each of attacks, name pgd", "keep", "one of best, last; default: best"),
    ("config.studies.NAME, kind selection", "keep", "number between 0 and 1; default: 0.97"),
    ("config.studies.NAME, kind robustness", "epsilons", "list of numbers >= 0; required"),
  ],
)
def test_types_ranges_and_names_are_said(places, place, field, words):
  assert places[place][field] == words


def test_what_is_listed_for_a_place_is_what_flags_may_set_there(places):
  config = ordered({"models": {"a": {"architecture": {"name": "mlp"}}}})
  assert set(places["config.models.NAME.architecture, name mlp"]) == set(
    schema.fields_at(config, ["models", "a", "architecture"])
  )
  assert set(places["config"]) == set(schema.fields_at(config, []))


def test_names_that_are_listed_are_of_fields_that_there_are(places):
  fields = {field for listed in places.values() for field in listed}
  assert {*field_list.NAMES, *field_list.INSIDE} - {"version"} <= fields
