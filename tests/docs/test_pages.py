"""The pages of the API: every public name has one, and it says what the docstring says."""

import doctest
import inspect
import re

import pytest

import robust_saliency
from docs.building import api_pages, docstrings, public_names, signatures
from docs.building.public_names import FOLDERS

NAMES = public_names.public_names()
each_name = pytest.mark.parametrize("one", NAMES, ids=lambda one: one.page)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
  directory = tmp_path_factory.mktemp("api")
  (directory / "attacks.gone.rst").write_text("a name of last year")
  api_pages.write_pages(directory)
  return {path.stem: path.read_text(encoding="utf-8") for path in directory.glob("*.rst")}


def test_every_public_name_has_a_page_and_no_page_is_of_anything_else(written):
  public = {f"{one}.{name}" for one in FOLDERS for name in public_names.listed(one)}
  named = {f"{one.folder}.{one.name}" for one in NAMES}
  assert public <= named
  kinds = public_names.folder("studies").STUDIES.values()
  studies = {f"studies.{study.__name__}" for study in kinds}
  assert named - public == studies | {"studies.roar.remove_and_retrain"}
  assert written.keys() == {one.page for one in NAMES} | {*FOLDERS}


def test_whatever_the_package_itself_names_has_pages():
  assert {*dir(robust_saliency)} - {"__version__"} == {*FOLDERS}


def test_no_two_pages_differ_in_case_alone():
  assert len({one.page.lower() for one in NAMES}) == len(NAMES)


def test_a_folders_page_names_what_is_in_it(written):
  for one in NAMES:
    assert f":py:obj:`{one.name} <{one.path}>`" in written[one.folder]


@each_name
def test_a_page_shows_arguments_and_every_word_of_the_docstring(written, one):
  text = written[one.page]
  if one.kind in ("table", "value"):
    assert f".. py:data:: {one.name}\n" in text
    return
  if one.kind != "module" and signatures.signature(one.value):
    for argument in inspect.signature(one.value).parameters.values():
      ours = argument.name not in ("parent", "name") or one.folder != "models"
      assert not ours or re.search(rf"[(, *]{argument.name}\b", text)
  docstring = docstrings.of(one.value)
  assert len(docstring) > 12
  # Sections have become fields, and code roles; letters are never lost.
  words = set(re.findall(r"[A-Za-z]{3,}", docstring)) - {"Args", "Attributes", "Raises", "Returns"}
  assert words <= set(re.findall(r"[A-Za-z]{3,}", text))
  assert " at 0x" not in text


@pytest.mark.parametrize("folder", ["attacks", "attributions"])
def test_every_function_that_is_given_a_network_or_logits_has_an_example(folder):
  functions = [one for one in NAMES if one.folder == folder and one.kind == "function"]
  without = {one.name for one in functions if ">>>" not in docstrings.of(one.value)}
  assert without == {"register"}, "an example would change the table for whatever runs after it"


def test_names_of_the_own_folder_go_before_those_of_others():
  assert api_pages.resolve("register", "data") == "robust_saliency.data.register"
  assert api_pages.resolve("cross_entropy", "objectives").split(".")[1] == "objectives"
  assert api_pages.resolve("register") is None, "of five folders"


def test_a_function_is_called_in_the_words_of_its_source():
  found = signatures.signature(public_names.folder("attributions").smoothgrad)
  assert found.startswith("(key: Array, logits_fn: LogitsFn, x: Array, y: Array, *, ")
  assert "attribution: Attribution = gradient, samples: int = 50" in found


@pytest.mark.parametrize("module", [api_pages, docstrings, public_names, signatures])
def test_the_examples_in_docstrings_run(module):
  result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
  assert result.attempted > 0
  assert result.failed == 0
