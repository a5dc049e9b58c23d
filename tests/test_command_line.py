"""The command line as people meet it: every mistake ends in one sentence."""

import functools
import inspect
import os
import re
import shlex
import subprocess
import sys
import types

import jax
import pytest
from absl import flags
from absl.testing import flagsaver
from ml_collections import ConfigDict
from packaging.version import Version

import robust_saliency
from robust_saliency import __main__ as all_commands
from robust_saliency import (
  attacks,
  attributions,
  command_line,
  compare,
  evaluate,
  explain,
  main,
  notebook,
  pipeline,
  redraw,
  roar,
  startup,
  user_study,
)
from robust_saliency.command_line import shipped
from robust_saliency.pipeline import comparing, evaluations, explanations, removals, vote_counts

GOOD = """
from robust_saliency.configs import ordered
def get_config(words=""):
  if words not in ("", "small"):
    raise ValueError(f"variant must be small, got {words!r}")
  return ordered({"title": "t", "seeds": (0, 1),
    "models": {"pgd": {"epochs": 3, "epsilon": 0.1}}})
"""


SPARSE = """
from robust_saliency.configs import ordered
def get_config():
  adversarial = {"attack": {"name": "pgd", "epsilon": 0.1}}
  return ordered({"title": "t", "seeds": (0,), "dataset": {"name": "digits"},
    "models": {"cnn": {
      "architecture": {"name": "digits"}, "objective": {"adversarial": adversarial},
      "optimizer": {"name": "adam", "learning_rate": 1}, "batch_size": 9, "epochs": None}},
    "studies": {"robust": {"kind": "robustness", "attacks": {"pgd": {"name": "pgd"}}}}})
"""


@pytest.fixture
def config_file(tmp_path):
  path = tmp_path / "good.py"
  path.write_text(GOOD)
  return path


@pytest.fixture(autouse=True)
def fresh_flags():
  saved = {name: flags.FLAGS[name].value for name in ("config", "workdir", "data_dir")}
  yield
  for name, value in saved.items():
    flags.FLAGS[name].value = value
  for name in list(flags.FLAGS):
    if name.startswith("config."):  # a field that was overridden
      delattr(flags.FLAGS, name)


def parse(monkeypatch, *arguments):
  # ml-collections looks for overrides in sys.argv itself.
  monkeypatch.setattr(sys, "argv", ["main", *map(str, arguments)])
  return command_line.parse_flags(sys.argv)


@pytest.mark.parametrize("spelling", ["--config={}", "-config={}", "--config {}", "-config {}"])
def test_fields_are_overridden_by_flags(config_file, monkeypatch, spelling):
  parse(
    monkeypatch,
    *spelling.format(f"{config_file}:small").split(),
    f"{spelling.split('config')[0]}config.models.pgd.epochs=5",
  )
  assert main.CONFIG.value.models.pgd.epochs == 5


@pytest.mark.parametrize(
  ("given", "place", "value"),
  [
    ("dataset.path=/images/of mine", "dataset.path", "/images/of mine"),
    ("dataset.bounds=(-1, 1)", "dataset.bounds", (-1, 1)),
    ("summary=one", "summary", "one"),
    ("models.cnn.averaging=1e-3", "models.cnn.averaging", 1e-3),
    ("models.cnn.epochs=3", "models.cnn.epochs", 3),  # None in the file
    ("models.cnn.shuffle=false", "models.cnn.shuffle", False),
    ("noshuffle", "models.cnn.shuffle", False),
    ("models.cnn.probe={'every': 10}", "models.cnn.probe", {"every": 10}),
    ("models.cnn.architecture.batch_norm=true", "models.cnn.architecture.batch_norm", True),
    ("models.cnn.optimizer.eps=1e-4", "models.cnn.optimizer.eps", 1e-4),
    # A whole number in the file, where any number is meant.
    ("models.cnn.optimizer.learning_rate=.5", "models.cnn.optimizer.learning_rate", 0.5),
    ("models.cnn.objective.adversarial.weight=.5", "models.cnn.objective.adversarial.weight", 0.5),
    (
      "models.cnn.objective.adversarial.attack.steps=3",
      "models.cnn.objective.adversarial.attack.steps",
      3,
    ),
    ("studies.robust.examples=9", "studies.robust.examples", 9),
    ("studies.robust.attacks.pgd.restarts=2", "studies.robust.attacks.pgd.restarts", 2),
    ("studies.robust.models=('cnn',)", "studies.robust.models", ("cnn",)),
  ],
)
def test_fields_that_a_config_leaves_at_their_defaults_are_flags(
  tmp_path, monkeypatch, given, place, value
):
  path = tmp_path / "sparse.py"
  path.write_text(SPARSE)
  parse(
    monkeypatch,
    f"--config={path}",
    ("--noconfig.models.cnn.shuffle" if given == "noshuffle" else f"--config.{given}"),
  )
  node = main.CONFIG.value
  for name in place.split("."):
    node = node[name]
  assert node == value
  assert type(node) in (type(value), ConfigDict)


@pytest.mark.parametrize(
  ("arguments", "sentence"),
  [
    (["--config={}.missing"], "error: --config names no file: "),
    (["--config={}:large"], "fails with ValueError: variant must be small, got 'large'"),
    (["--config={}", "--config.models.pdg.epochs=5"], "has no field 'pdg' (did you mean 'pgd'?)"),
    (["--config={}", "--config.models.pgd.epoch=5"], "config.models.pgd has no field 'epoch'"),
    (["--config={}", "--config.title.x=5"], "config.title has no field 'x'; it has no fields"),
    (["--config={}", "--wrkdir=x"], "wrkdir"),
    (["--config", "{}.missing"], "error: --config names no file: "),
    (["--config", "{}", "--config.models.pgd.epoch=5"], "config.models.pgd has no field 'epoch'"),
    (["--config={}", "--config.seeds[99]=3"], "config.seeds has no entry [99]"),
    (["--config={}", "--config.seeds[x]=3"], "config.seeds has no entry [x]"),
    (["--config={}", "--config.seeds[=3"], "config.seeds has no entry ["),
    (["--config={}", "--config.seeds[0]=3"], "config.seeds has no entries that can be set one by"),
    (["-config={}", "-config.models.pgd.epoch=5"], "config.models.pgd has no field 'epoch'"),
    (["-config", "{}", "--config.models.pgd.epoch=5"], "config.models.pgd has no field 'epoch'"),
    (["--config={}", "--config", "{}"], "--config may be given once, got"),
    (["--config=digts"], "error: --config names no file: digts (did you mean digits?)"),
    (
      ["--config=digits:huge"],
      "--config=digits:huge fails with ValueError: variant must",
    ),
  ],
)
def test_a_mistake_ends_in_one_sentence(config_file, capsys, monkeypatch, arguments, sentence):
  with pytest.raises(SystemExit) as stopped:
    parse(monkeypatch, *(argument.format(config_file) for argument in arguments))
  error = capsys.readouterr().err
  assert stopped.value.code == 2
  assert sentence in error
  assert error.startswith("error: ")
  assert error.count("\n") == 1


@pytest.mark.parametrize(
  ("content", "sentence"),
  [
    ("import a_module_that_is_not_there", "ModuleNotFoundError"),
    ("1 / 0", "ZeroDivisionError"),
    ("def (", "SyntaxError"),
    ("x = 1", "has no function get_config"),
    ("def get_config(): return 3", "must return a ConfigDict"),
  ],
)
def test_a_config_file_that_fails_ends_in_one_sentence(tmp_path, capsys, content, sentence):
  path = tmp_path / "bad.py"
  path.write_text(content)
  with pytest.raises(SystemExit):
    command_line.load_config(str(path))
  error = capsys.readouterr().err
  assert sentence in error
  assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["digits", "digits.py", "digits:smoke"])
def test_a_shipped_experiment_is_found_by_its_name(monkeypatch, tmp_path, name):
  monkeypatch.chdir(tmp_path)
  parse(monkeypatch, f"--config={name}", "--config.seeds=(7,)")
  assert main.CONFIG.value.seeds == (7,)
  assert (command_line.config_folder() / main.CONFIG.value.claims).is_file()


def test_a_file_of_ones_own_comes_before_a_shipped_experiment(monkeypatch, tmp_path):
  (tmp_path / "digits.py").write_text(GOOD)
  monkeypatch.chdir(tmp_path)
  parse(monkeypatch, "--config=digits.py:small")
  assert main.CONFIG.value.title == "t"
  assert command_line.config_folder().resolve() == tmp_path.resolve()


def test_every_experiment_of_the_repository_is_shipped(request):
  files = {
    path.stem
    for path in (request.config.rootpath / "experiments").glob("*.py")
    if path.stem != "__init__"
  }
  assert set(shipped.shipped()) == files


@pytest.mark.parametrize("cores", [1, 2, 64])
def test_host_devices_are_asked_for_as_suits_the_cores_and_jaxs_release(monkeypatch, cores):
  monkeypatch.setenv("XLA_FLAGS", "--xla_something")
  monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(cores))
  command_line.use_all_cores()
  count = 1 if Version(jax.__version__) >= Version("0.12") else {1: 1, 2: 2, 64: 8}[cores]
  assert os.environ["XLA_FLAGS"] == (
    f"--xla_something --xla_force_host_platform_device_count={count}"
  )


def test_jax_since_012_gets_one_host_device_on_any_machine():
  assert [command_line.host_devices(64, version) for version in [(0, 11, 2), (0, 12), (1, 0)]] == [
    8,
    1,
    1,
  ]


def test_choosing_host_devices_starts_no_backend():
  """A backend that runs would not see the count."""
  program = (
    "from robust_saliency import command_line; command_line.use_all_cores(); import jax;"
    "print(jax.device_count(), command_line.host_devices(2, jax.__version_info__))"
  )
  environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
  cores = len(os.sched_getaffinity(0))
  run = subprocess.run(
    [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
  )
  found, of_two = map(int, run.stdout.split())
  assert found == min(cores, 8 if of_two == 2 else 1)


def test_a_count_of_host_devices_that_is_set_already_is_left_alone(monkeypatch):
  monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=3")
  command_line.use_all_cores()
  assert os.environ["XLA_FLAGS"] == "--xla_force_host_platform_device_count=3"


def run(*arguments, cwd=None, **environment):
  return subprocess.run(
    [sys.executable, *arguments],
    capture_output=True,
    text=True,
    cwd=cwd,
    check=False,
    env=os.environ | environment,
  )


COMMANDS = {
  "main": main,
  "evaluate": evaluate,
  "explain": explain,
  "compare": compare,
  "redraw": redraw,
  "roar": roar,
  "user_study": user_study,
}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_every_flag_of_the_command_and_fits_80_columns(name, capsys):
  command_line.command.print_help(COMMANDS[name].COMMAND)
  lines = capsys.readouterr().out.splitlines()
  assert max(map(len, lines)) <= 80
  shown = {
    word.removeprefix("[no]") for word in re.findall(r"^  --([^= \n]+)", "\n".join(lines), re.M)
  }
  source = inspect.getsource(COMMANDS[name])
  looked_at = {
    *re.findall(r'shared\("(\w+)"\)', source),
    *re.findall(r'flags\.DEFINE_\w+\(\s*"(\w+)"', source),
    *(["config", "config.FIELD"] if name == "main" else []),
    "debug",
  }
  assert shown == looked_at
  assert COMMANDS[name].__doc__.split()[0] in lines[0]


@pytest.mark.parametrize("name", ["evaluate", "explain", "roar"])
def test_help_lists_the_registered_methods(name, capsys):
  command_line.command.print_help(COMMANDS[name].COMMAND)
  shown = " ".join(capsys.readouterr().out.split())
  registered = attacks.ATTACKS if name == "evaluate" else attributions.ATTRIBUTIONS
  assert all(re.search(rf"[ ,]{one}(,|$)", shown) for one in registered)


@pytest.mark.parametrize("given", [["--help"], ["-h"], ["--workdir=x", "--help", "--nonsense"]])
def test_help_ends_with_0(given, monkeypatch, capsys):
  monkeypatch.setattr(sys, "argv", ["redraw", *given])
  with pytest.raises(SystemExit) as stopped:
    command_line.run(redraw.COMMAND)
  assert stopped.value.code == 0
  assert "--workdir=DIRECTORY" in capsys.readouterr().out


def test_list_fields_needs_nothing_else(monkeypatch, capsys):
  monkeypatch.setattr(sys, "argv", ["main", "--list_fields"])
  monkeypatch.setenv("ROBUST_SALIENCY_COMPILATION_CACHE", "off")
  with flagsaver.flagsaver(), pytest.raises(SystemExit) as stopped:
    command_line.run(main.COMMAND)
  assert not stopped.value.code
  assert capsys.readouterr().out.startswith("config\n  title ")


def test_examples_are_as_many_as_the_help_says():
  assert explain.COMMAND.defaults["examples"] == str(explanations.EXAMPLES)
  assert evaluate.COMMAND.defaults["examples"] == str(evaluations.EXAMPLES)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_the_defaults_of_this_command_and_of_no_other_one(name, capsys):
  command = COMMANDS[name].COMMAND
  taken = {one.name for one in command.flags}
  assert command.defaults.keys() == taken & {"out", "examples", "studies"}
  command_line.command.print_help(command)
  shown = " ".join(capsys.readouterr().out.split())
  for flag, default in command.defaults.items():
    assert f"{flags.FLAGS[flag].help}; default: {default}" in shown
  others = {other.COMMAND.defaults.get("out", "") for other in COMMANDS.values()} - {
    command.defaults.get("out", "")
  }
  assert not [default for default in others if default and f"default: {default}" in shown]


def test_what_needs_no_network_is_said_before_anything_heavy_is_imported():
  """JAX alone takes longer than people wait."""
  program = (
    "import sys; from robust_saliency import main, evaluate, explain, compare, redraw, roar\n"
    "from robust_saliency import user_study, __main__\n"
    "from robust_saliency import command_line\n"
    "command_line.command.print_help(main.COMMAND)\n"
    "print(*({m.split('.')[0] for m in sys.modules} & "
    "{'jax', 'flax', 'numpy', 'matplotlib', 'orbax', 'tensorboardX', 'tensorflow_datasets', "
    "'skimage', 'sklearn', 'scipy', 'optax', 'torch'}), file=sys.stderr)"
  )
  done = run("-c", program)
  assert done.returncode == 0
  assert "--workdir=DIRECTORY" in done.stdout
  assert done.stderr.split() == []


@pytest.mark.slow
def test_an_experiment_imports_what_only_some_need_when_they_need_it():
  program = (
    "import sys, robust_saliency.pipeline, robust_saliency.command_line\n"
    "print(*sorted({'torch', 'tensorboardX', 'tensorflow_datasets', 'skimage', 'sklearn', "
    "'statsmodels', 'scipy.stats', 'matplotlib.pyplot'} & set(sys.modules)))"
  )
  assert run("-c", program).stdout.split() == []


class ToldError(Exception):
  """The command that a report would name."""


def tell(*_, command, **__):
  raise ToldError(command)


@pytest.mark.parametrize("name", ["main", "roar", "compare", "user_study", "notebook"])
def test_the_command_that_a_report_names_can_be_given_to_a_shell(name, monkeypatch, tmp_path):
  experiment = types.SimpleNamespace(run=tell)
  for module, function, fake in (
    (pipeline, "Experiment", lambda *_, **__: experiment),
    (notebook, "Experiment", lambda *_, **__: experiment),
    (removals, "remove_and_retrain_experiment", tell),
    (comparing, "compare_runs", tell),
    (vote_counts, "count_votes", tell),
    (main, "_checked", lambda: None),
    (command_line, "config_folder", lambda: tmp_path),
  ):
    monkeypatch.setattr(module, function, fake)
  hard = ["--config.seeds=(0, 1)", "it's here", "\udcff"]
  monkeypatch.setattr(sys, "argv", ["command", *hard])
  flags.FLAGS.mark_as_parsed()
  runs = {name: functools.partial(module.main, sys.argv) for name, module in COMMANDS.items()}
  runs["user_study"] = functools.partial(user_study.main, ["command", "count", *hard[1:]])
  fields = {"seeds": (0, 1)}
  runs["notebook"] = functools.partial(notebook.run, "digits:smoke", tmp_path, fields=fields)
  with flagsaver.flagsaver(workdir="a b"), pytest.raises(ToldError) as told:
    runs[name]()
  words = shlex.split(str(told.value))
  assert str(told.value).isprintable()
  assert words[:2] == ["python", "-m"]
  of_notebook = ["--config=digits:smoke", f"--workdir={tmp_path}", hard[0]]
  assert words[3:] == of_notebook if name == "notebook" else words[-2:] == ["it's here", "\\udcff"]


@pytest.mark.slow
def test_the_attacks_take_no_second_longer_to_import_than_jax():
  """As a share of what JAX takes, some two seconds: a second is another on each machine.

  The least of three starts: what else the machine does can only add to one.
  """
  program = (
    "import time; start = time.perf_counter(); import jax, jax.numpy, jax.scipy.special\n"
    "of_jax = time.perf_counter() - start; import robust_saliency.attacks\n"
    "import sys; print(time.perf_counter() - start - of_jax, of_jax, "
    "*({m.split('.')[0] for m in sys.modules} & "
    "{'flax', 'matplotlib', 'orbax', 'tensorboardX', 'tensorflow_datasets', "
    "'skimage', 'sklearn', 'torch', 'PIL', 'jinja2'}))"
  )
  shares = []
  for _ in range(3):
    ours, of_jax, *heavy = run("-c", program).stdout.split()
    assert heavy == []
    shares.append(float(ours) / float(of_jax))
  assert min(shares) < 1 / 2


@pytest.mark.parametrize(
  ("arguments", "code", "sentence"),
  [
    ([], 2, "error: give a command, one of main, evaluate, explain, roar, user_study, compare"),
    (["evalute"], 2, "got 'evalute' (did you mean 'evaluate'?)"),
    (["redraw"], 2, "error: give --workdir=DIRECTORY of a report"),
    (["user_study", "--workdir=x"], 2, "error: give what to do first, one of make, count; got ''"),
    (["user_study", "mke", "--workdir=x"], 2, "one of make, count; got 'mke'"),
    (["user_study", "make", "v.json", "--workdir=x"], 2, "make takes no files, got 'v.json'"),
    (["user_study", "count", "--workdir=x"], 2, "error: give the files with the votes"),
    (["user_study", "count", "v", "--workdir=x", "--seed=3"], 2, "error: --seed is of make"),
    (["redraw", "--wrkdir=x"], 2, "error: Unknown command line flag 'wrkdir'"),
    (["data", "prepare", "nope"], 2, "error: name must be one of digits"),
    (["--help"], 0, "has a --help of its own"),
    (["--version"], 0, robust_saliency.__version__),
  ],
)
def test_all_commands_stand_behind_one_name(monkeypatch, capsys, arguments, code, sentence):
  monkeypatch.setattr(sys, "argv", ["robust-saliency", *arguments])
  monkeypatch.setattr(startup, "stop_on_signals", lambda: None)
  try:
    with flagsaver.flagsaver():
      all_commands.main()
    ended = 0
  except SystemExit as stopped:
    ended = stopped.code or 0
  said = capsys.readouterr()
  assert ended == code
  assert sentence in (said.err if code else said.out)
  assert said.err.count("\n") == bool(code)


@pytest.mark.parametrize(
  ("arguments", "sentence"),
  [
    (["--config=experiments/digits.py", "extra"], "error: unknown argument 'extra'"),
    pytest.param(
      ["--config=experiments/digits.py", "--config.models.pgd.epochs=many"],
      "error: flag --config.models.pgd.epochs=many: ",
      marks=pytest.mark.slow,
    ),
    (
      ["--config=experiments/digits.py", "--workdir=/proc/nothing"],
      "error: workdir /proc/nothing cannot be used",
    ),
    pytest.param(
      ["--config=experiments/digits.py", "--workdir="],
      "error: give --config=FILE and --workdir=",
      marks=pytest.mark.slow,
    ),
  ],
)
def test_the_whole_command_ends_in_one_sentence(arguments, sentence, request):
  done = subprocess.run(
    [sys.executable, "-m", "robust_saliency.main", *arguments],
    capture_output=True,
    text=True,
    cwd=request.config.rootpath,
    check=False,
  )
  assert done.returncode == 2
  assert done.stderr.splitlines()[-1].startswith(sentence)
  assert "Traceback" not in done.stderr
