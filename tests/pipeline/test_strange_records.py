"""Strange values in the JSON files of a finished folder: a sentence that names the file, or none.

Each file's fields, and theirs, are left out or given values of other types, with a digest that is
right, as a stranger could. A draw of the cases runs in the ordinary tests, all in the slow ones.
"""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from robust_saliency.core import files
from robust_saliency.pipeline import read_networks
from robust_saliency.pipeline.redrawing import redraw

DEMO = Path(__file__).parents[2] / "experiments" / "results" / "digits" / "demo"
HUGE = 10**400
DEEP = [[[[[[[[[[0]]]]]]]]]]
VALUES = (None, True, -1, 0.5, HUGE, "text", "", "x" * 10_000, [], [1], DEEP, {}, {"a": {"b": 1}})
LEFT_OUT = object()
# What Python says by itself, with nothing of ours before it.
FIRST_WORDS = ("'", "unhashable", "unsupported", "string indices", "list index", "not enough")


def changes(content):
  """(path, value) for each field of an object, and each of its own: the value, or `LEFT_OUT`."""
  for name, inner in content.items():
    for value in (LEFT_OUT, *VALUES):
      yield (name,), value
    for place in _places(inner):
      for value in (LEFT_OUT, *VALUES):
        yield (name, place), value


def _places(inner):
  return list(inner) if isinstance(inner, dict) else [0] if inner and type(inner) is list else []


def cases_of(folder, pattern):
  """Of what is read: the verdicts are not."""
  for path in sorted(set(folder.glob(pattern)) - {folder / "data" / "claims.json"}):
    content = json.loads(path.read_text())
    for place, value in changes(content):
      yield path.relative_to(folder), place, value


def write(path, place, value):
  """Spoils a file, with the digest that it has then, and returns what it held."""
  before = path.read_bytes()
  content = json.loads(before)
  inner = content
  for name in place[:-1]:
    inner = inner[name]
  if value is LEFT_OUT:
    del inner[place[-1]]
  else:
    inner[place[-1]] = value
  has_digest = path.with_name(f"{path.name}.sha256").exists()
  (files.write_with_digest if has_digest else files.write_bytes)(path, json.dumps(content).encode())
  return before


@contextlib.contextmanager
def spoiling(folder, case):
  relative, place, value = case
  path = folder / relative
  before = write(path, place, value)
  yield
  files.write_bytes(path, before)
  if path.with_name(f"{path.name}.sha256").exists():
    files.write_with_digest(path, before)


def said(run):
  """What a command would say; a traceback fails the test."""
  try:
    run()
  except (ValueError, TypeError, FloatingPointError, OSError, RuntimeError) as error:
    return " ".join(str(error).split())
  return ""


def described(case, sentence):
  relative, place, value = case
  value = "left out" if value is LEFT_OUT else str(value)[:40]
  return f"{relative} {'.'.join(map(str, place))} = {value}: {sentence[:300]}"


def assert_a_sentence(case, path, sentence):
  what = described(case, sentence)
  assert len(sentence) < 700, what
  assert not sentence.startswith(FIRST_WORDS), what
  assert not sentence or str(path) in sentence or "another version" in sentence, what


def drawn(cases, number):
  """So many of the cases, by a seed; all for None."""
  cases = list(cases)
  if number is None:
    return cases
  places = np.random.default_rng(0).choice(len(cases), number, replace=False)
  return [cases[i] for i in places]


FEW_OR_ALL = [6, pytest.param(None, marks=pytest.mark.slow)]


@pytest.mark.slow
@pytest.mark.parametrize("number", FEW_OR_ALL)
def test_a_report_with_strange_data_is_drawn_or_refused_by_the_name_of_the_file(
  number, tmp_path, monkeypatch
):
  # Encoding the figures takes most of the time, and looks at no file.
  monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: None)
  folder = shutil.copytree(DEMO, tmp_path / "demo")
  refused = 0
  for case in drawn(cases_of(folder, "data/*.json"), number):
    with spoiling(folder, case):
      sentence = said(lambda: redraw(folder, tmp_path / "out"))
    assert_a_sentence(case, folder, sentence)
    refused += sentence != ""
  assert refused


@pytest.mark.parametrize("number", FEW_OR_ALL)
def test_networks_with_strange_records_are_read_or_refused_in_a_sentence(number, workdir):
  records = [*cases_of(workdir, "config.json"), *cases_of(workdir, "models/*/*/*.json")]
  records += cases_of(workdir, "models/*/seed_0/checkpoints/*.json")
  refused = 0
  for case in drawn(records, number):
    with spoiling(workdir, case):
      sentence = said(lambda: read_networks(workdir))
    assert_a_sentence(case, workdir, sentence)
    refused += sentence != ""
  assert refused


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, pytest.param(None, marks=pytest.mark.slow)])
def test_a_run_in_a_folder_with_strange_records_computes_them_again_or_says_why_not(
  number, workdir, commands, small, correct
):
  records = [*cases_of(workdir, "studies/*/*.json"), *cases_of(workdir, "models/*/seed_0/*.json")]
  for case in drawn(records, number):
    folder = shutil.copytree(small, workdir.parent / "copy")
    with spoiling(folder, case):
      sentence = commands("main", folder)
    assert_a_sentence(case, folder, sentence)
    if not sentence:
      np.testing.assert_array_equal(correct(folder), correct(small))
    shutil.rmtree(folder)
