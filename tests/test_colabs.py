"""The notebooks: what each of them has, and that it runs from top to bottom."""

import ast
import base64
import importlib
import importlib.util
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from robust_saliency.command_line import load_config
from robust_saliency.command_line.config_files import admit

ROOT = Path(__file__).parents[1]
_SPECIFICATION = importlib.util.spec_from_file_location("execute", ROOT / "colabs" / "execute.py")
execute = importlib.util.module_from_spec(_SPECIFICATION)
_SPECIFICATION.loader.exec_module(execute)

# Notebook -> the fields with which it runs in a minute or so.
SMALLEST = {
  "compose_your_own": {"STEPS": 5, "EPOCHS": 1},
  "kim2019": {"PLANE": "kim2019:boundary,20", "IMAGES": "kim2019:roar,smoke"},
  "noack2019": {"EXPERIMENT": "noack2019:smoke,main"},
  "normlime2019": {
    "STEPS": 20,
    "PER_CLASS": 2,
    "RETRAINING_STEPS": 5,
    "EXPERIMENT": "normlime2019:smoke,5",
  },
  "quickstart": {"EPOCHS": 1, "EXPERIMENT": "digits:smoke"},
  "ross2018": {"EXPERIMENT": "ross2018:smoke,main"},
}
PATHS = {path.stem: path for path in sorted((ROOT / "colabs").glob("*.ipynb"))}
NOTEBOOKS = {name: execute.read(path) for name, path in PATHS.items()}
MOST_BYTES = 400_000
# A path from the root of some machine, or a host.
ABSOLUTE = re.compile(r"""(?:^|[\s"'(=])(?:/[A-Za-z]|[A-Z]:\\)|https?://""", re.MULTILINE)

each_notebook = pytest.mark.parametrize("name", NOTEBOOKS)


def outputs(name):
  return [output for cell in execute.code_cells(NOTEBOOKS[name]) for output in cell["outputs"]]


def text_of(output):
  if output["output_type"] == "stream":
    return "".join(output["text"])
  return "".join("".join(part) for kind, part in output["data"].items() if kind != "image/png")


def python_of(name):
  """The code of all cells, of those that are files, too."""
  texts = [execute.source(cell) for cell in execute.code_cells(NOTEBOOKS[name])]
  return "\n".join(execute.python(text) for text in texts)


def test_there_is_one_for_each_paper_and_two_for_beginners():
  assert set(NOTEBOOKS) == set(SMALLEST)


@each_notebook
def test_it_has_the_form_of_a_notebook_and_nothing_of_the_machine_that_ran_it(name):
  notebook = NOTEBOOKS[name]
  assert set(notebook) == {"cells", "metadata", "nbformat", "nbformat_minor"}
  assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
  assert notebook["metadata"] == execute.METADATA
  identifiers = [cell["id"] for cell in notebook["cells"]]
  assert len(set(identifiers)) == len(identifiers)
  for cell in notebook["cells"]:
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", cell["id"])
    assert cell["metadata"] == {}
    extra = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
    assert set(cell) == {"cell_type", "id", "metadata", "source"} | extra
    assert cell.get("execution_count") is None
  assert PATHS[name].stat().st_size < MOST_BYTES
  assert PATHS[name].read_text(encoding="utf-8") == execute.written(notebook)


@pytest.mark.peers
@each_notebook
def test_jupyter_takes_it_for_a_notebook(name):
  nbformat = pytest.importorskip("nbformat")
  nbformat.validate(nbformat.from_dict(NOTEBOOKS[name]))


@each_notebook
def test_it_is_installed_by_one_cell_with_one_field(name):
  install = [c for c in execute.code_cells(NOTEBOOKS[name]) if "pip install" in execute.source(c)]
  assert len(install) == 1
  text = execute.source(install[0])
  assert [found["name"] for found in execute.FIELD.finditer(text)] == ["REPOSITORY"]
  assert execute.fields(NOTEBOOKS[name])["REPOSITORY"] == ""
  assert execute.code_cells(NOTEBOOKS[name])[0] == install[0] | {"id": f"{name}-1"}


def test_all_are_installed_alike():
  assert len({execute.source(execute.code_cells(one)[0]) for one in NOTEBOOKS.values()}) == 1


@pytest.mark.parametrize(
  ("given", "machine", "requirement"),
  [
    ("", "", "robust_saliency"),
    ("../copy", "gpu", "../copy[cuda12]"),
    ("https://a.org/b.git", "", "robust_saliency @ git+https://a.org/b.git"),
    ("git+ssh://a/b", "tpu", "robust_saliency[tpu] @ git+ssh://a/b"),
  ],
)
def test_the_first_cell_asks_for_what_the_machine_needs(monkeypatch, given, machine, requirement):
  for variable in [name for name in os.environ if name.startswith(("TPU_", "COLAB_TPU_"))]:
    monkeypatch.delenv(variable)
  if machine == "tpu":
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5e-1")
  monkeypatch.setattr("shutil.which", lambda name: "found" if machine == "gpu" else None)
  text = execute.source(execute.code_cells(NOTEBOOKS["quickstart"])[0])
  names = {}
  exec(execute.python(execute.with_fields(text, {"REPOSITORY": given})), names)
  assert names["requirement"] == requirement


def test_the_first_cell_asks_an_index_for_nothing_that_is_not_installed(monkeypatch):
  monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
  text = execute.source(execute.code_cells(NOTEBOOKS["quickstart"])[0])
  with pytest.raises(ValueError, match="REPOSITORY must be the Git URL"):
    exec(execute.python(text), {})


@each_notebook
def test_it_names_no_place_of_one_machine(name):
  texts = [execute.source(cell) for cell in NOTEBOOKS[name]["cells"]]
  for text in [*texts, *map(text_of, outputs(name))]:
    assert not ABSOLUTE.search(text), ABSOLUTE.search(text)


@each_notebook
def test_it_shows_pictures_a_device_and_neither_times_nor_warnings(name):
  shown = outputs(name)
  pictures = [o["data"]["image/png"] for o in shown if "image/png" in o.get("data", {})]
  assert len(pictures) >= 2
  for picture in pictures:
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
      assert min(image.size) > 100
  texts = [text_of(output) for output in shown]
  assert any("CpuDevice" in text for text in texts)
  for text in texts:
    assert not re.search(r"warning|done in|\b\d+ ?(?:s|ms|seconds)\b", text, re.IGNORECASE), text
  if name != "normlime2019":
    assert any("<table>" in text and "Verdict" in text for text in texts)


@each_notebook
def test_every_name_of_the_package_exists(name):
  tree, modules = ast.parse(python_of(name)), {}
  for node in ast.walk(tree):
    if isinstance(node, ast.ImportFrom) and node.module.startswith("robust_saliency"):
      package = importlib.import_module(node.module)
      for one in node.names:
        try:
          found = importlib.import_module(f"{node.module}.{one.name}")
          modules[one.asname or one.name] = found
        except ModuleNotFoundError:
          assert hasattr(package, one.name), f"{node.module}.{one.name}"
  used = [
    (node.value.id, node.attr)
    for node in ast.walk(tree)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
  ]
  assert modules
  assert {root for root, _ in used} >= {"notebook"}
  missing = [f"{root}.{a}" for root, a in used if root in modules and not hasattr(modules[root], a)]
  assert not missing


@each_notebook
def test_every_config_and_field_that_it_names_exists(name):
  values = [v for v in execute.fields(NOTEBOOKS[name]).values() if ":" in str(v)]
  words = [execute.source(c) for c in NOTEBOOKS[name]["cells"] if c["cell_type"] == "markdown"]
  values += re.findall(r"`((?:digits|\w+20\d\d):[\w,]+)`", "\n".join(words))
  configs = {value: load_config(value) for value in values}
  for node in ast.walk(ast.parse(python_of(name))):
    if isinstance(node, ast.Constant) and re.match(r"(studies|models)\.\w", str(node.value)):
      admit(next(iter(configs.values())), node.value)
  assert configs or name in ("normlime2019", "compose_your_own")


TINY = """
from robust_saliency import configs

def get_config():
  model = {"architecture": {"name": "mlp"}, "objective": {"cross_entropy": {}}, "steps": 2,
           "optimizer": {"name": "adam", "learning_rate": 0.01}, "batch_size": 8}
  attack = {"name": "fgsm", "label": "FGSM"}
  return configs.ordered({
    "title": "Tiny", "dataset": {"name": "digits"}, "seeds": (0,), "models": {"mlp": model},
    "studies": {"transfer": {
      "kind": "transfer", "attack": attack, "epsilons": (0.1,), "examples": 8}},
    "claims": ()})
"""


@pytest.mark.slow
def test_the_quickstart_runs_from_top_to_bottom(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  plt.switch_backend("Agg")
  (tmp_path / "tiny.py").write_text(TINY, encoding="utf-8")
  given = {"EPOCHS": 1, "EXPERIMENT": "tiny.py"}
  done, names = execute.execute(NOTEBOOKS["quickstart"], name="quickstart", given=given)
  assert names["run"].workdir == tmp_path / "runs" / "tiny-py"
  # All but installation and training show something.
  shown = [len(cell["outputs"]) for cell in execute.code_cells(done)]
  assert shown == [0, 1, 0, 1, 1, 1, 1, 1]
  assert names["x_adv"].shape == (10, 8, 8, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fields"), SMALLEST.items(), ids=SMALLEST)
def test_a_notebook_runs_from_top_to_bottom(tmp_path, name, fields):
  # In a process of its own, which methods of its own may be registered in.
  given = [f"{field}={value}" for field, value in fields.items()]
  subprocess.run(
    [sys.executable, ROOT / "colabs" / "execute.py", "--dry", name, *given],
    cwd=tmp_path,
    check=True,
  )
  assert any((tmp_path / "runs").iterdir())
