"""The page of other packages' names: complete, true of our signatures, and of what is installed."""

import ast
import inspect
import json
import math
from importlib import util

import pytest

from docs.building import api_pages, peers, public_names

PACKAGES = tuple(peers.PLACES)
each_package = pytest.mark.parametrize("package", PACKAGES)
OURS = {one.path: one.value for one in public_names.public_names()}


def calls(entry):
  """(our function, the settings that the call gives it) of what an entry says is its like here."""
  for node in ast.walk(ast.parse(entry.here, mode="eval")):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
      path = api_pages.resolve(ast.unparse(node.func))
      if path is not None:
        yield OURS[path], {word.arg: word.value for word in node.keywords}


def number(text):
  """A setting in units of epsilon, or None where it is no number."""
  try:
    value = eval(text, {"epsilon": 1.0, "np": math}, {})
  except NameError:
    return None
  return value if isinstance(value, int | float) else None


@each_package
def test_every_name_has_its_like_or_a_reason(package):
  kept = json.loads(peers.DEFAULTS.read_text())[package]["names"]
  said = peers.table(package)["names"]
  assert said.keys() == kept.keys()
  for entry in peers.entries(package):
    assert (entry.here is None) != (entry.why is None), entry.name
    of = said[entry.name]
    assert of.keys() <= {"here", "why", "note", "same", "other"}
    assert "same" not in of or kept[entry.name] == kept[of["same"]] or package == "art"


@each_package
def test_a_reason_that_refers_to_another_name_refers_to_one(package):
  said = peers.table(package)["names"]
  for name, of in said.items():
    for text in (of.get("why", ""), of.get("note", "")):
      if text.startswith("As "):
        referred = text.removeprefix("As ").rstrip(".").split(",")[0].split(" ")[0]
        assert referred in said, f"{name}: {text}"


@each_package
def test_the_calls_here_take_the_settings_that_they_are_given(package):
  for entry in peers.entries(package):
    if entry.here is None:
      continue
    called = list(calls(entry))
    assert called, f"{entry.name}: {entry.here} calls nothing of ours"
    for function, given in called:
      assert given.keys() <= inspect.signature(function).parameters.keys(), entry.name


@each_package
def test_the_calls_here_have_the_numbers_of_their_defaults(package):
  arguments = peers.table(package)["arguments"]
  compared = 0
  for entry in peers.entries(package):
    if entry.here is None:
      continue
    for theirs, default in entry.defaults.items():
      ours = arguments.get(theirs)
      if ours is None or theirs in entry.other or default is None or number(default) is None:
        continue
      for function, given in calls(entry):
        parameters = inspect.signature(function).parameters
        if ours not in parameters:
          continue
        our_value = ast.unparse(given[ours]) if ours in given else repr(parameters[ours].default)
        if number(our_value) is None:
          continue
        assert number(our_value) == pytest.approx(number(default)), f"{entry.name}: {theirs}"
        compared += 1
  assert compared > 10 or package == "captum"
  assert compared > 4


@pytest.mark.peers
@each_package
def test_names_versions_and_defaults_are_those_that_are_installed(package):
  if util.find_spec(package) is None:  # its source is read, not run
    pytest.skip(f"compares with {package}")
  kept = json.loads(peers.DEFAULTS.read_text())[package]
  assert kept == peers.installed(package), "python -m docs.building.peers takes it over"
