"""Folders as somebody else may have made them: refused in a sentence, or harmless.

Nothing around the folder is touched, and who only looks trains and deletes nothing in it.
"""

import io
import json
import os
import shutil
import sys

import numpy as np
import pytest

from robust_saliency.core import files
from robust_saliency.pipeline.stage import identity_of
from robust_saliency.training import checkpoints

HARMLESS = ""


def rewrite(path, change):
  """Changes a JSON file, and gives it the digest that it should have."""
  value = json.loads(path.read_text())
  change(value)
  files.write_with_digest(path, json.dumps(value).encode())


def link(path, target):
  if path.is_dir():
    shutil.rmtree(path)
  path.unlink(missing_ok=True)
  path.symlink_to(target)


def a_lock_that_is_a_link(run, outside):
  link(run / ".lock", outside / "secret")


def explanations_that_are_a_link(run, outside):
  link(run / "explanations", outside / "pictures")


def evaluations_that_are_a_link(run, outside):
  link(run / "evaluations", outside / "pictures")


def checkpoints_of_another_experiment(run, outside):
  link(run / "models" / "standard" / "seed_0" / "checkpoints", outside / "checkpoints")


def a_study_that_is_a_link(run, outside):
  link(run / "studies" / "accuracy", outside / "pictures")


def a_report_whose_folder_is_a_link(run, outside):
  link(run / "figures", outside / "pictures")


def a_pipe_as_config(run, outside):
  (run / "config.json").unlink()
  os.mkfifo(run / "config.json")


def a_pipe_as_record(run, outside):
  path = run / "models" / "standard" / "seed_0" / "stage.json"
  path.unlink()
  os.mkfifo(path)


def names_that_lead_out(run, outside):
  def change(kept):
    for part in ("models", "studies"):
      (entry,) = kept["config"][part].values()
      kept["config"][part] = {"../../x": entry}

  rewrite(run / "config.json", change)


def huge_numbers(run, outside):
  def change(kept):
    kept["config"]["models"]["standard"]["steps"] = 10**9
    kept["config"]["models"]["standard"]["log_every"] = 10**9

  rewrite(run / "config.json", change)


def huge_numbers_that_every_record_confirms(run, outside):
  huge_numbers(run, outside)
  for path in run.glob("models/*/*/stage.json"):
    rewrite(path, lambda kept: kept["follows_from"]["settings"]["recipe"].update(steps=10**9))


def a_network_that_fits_into_no_memory_and_that_every_record_confirms(run, outside):
  def enlarge(recipe):
    recipe["architecture"]["hidden"] = [2**31 - 1] * 2

  rewrite(run / "config.json", lambda kept: enlarge(kept["config"]["models"]["standard"]))
  for path in run.glob("models/*/*/stage.json"):
    identities = []

    def confirm(kept, identities=identities):
      enlarge(kept["follows_from"]["settings"]["recipe"])
      kept["identity"] = identity_of(kept["follows_from"])
      identities.append(kept["identity"])

    rewrite(path, confirm)
    for manifest in path.parent.glob("checkpoints/*.json"):
      rewrite(manifest, lambda kept, identities=identities: kept.update(identity=identities[0]))


def swapped_arrays(run, outside):
  path = run / "studies" / "accuracy" / "result.npz"
  with np.load(path) as archive:
    swapped = {name: np.zeros_like(array) for name, array in archive.items()}
  files.write_with_digest(path, files.npz(swapped))


class Evil:
  def __reduce__(self):
    return (pytest.fail, ("a pickle was loaded",))


def pickled_arrays(run, outside):
  stream = io.BytesIO()
  np.savez(stream, allow_pickle=True, correct=np.array([Evil()], dtype=object))
  study = run / "studies" / "accuracy"
  files.write_with_digest(study / "result.npz", stream.getvalue())
  digest = files.digest(stream.getvalue())
  rewrite(study / "result.json", lambda about: about.update(arrays=digest))
  for batch in run.glob("evaluations/**/from-*.npz"):
    files.write_with_digest(batch, stream.getvalue())


def a_seed_that_is_a_copy(run, outside):
  shutil.rmtree(run / "models" / "standard" / "seed_1")
  shutil.copytree(run / "models" / "standard" / "seed_0", run / "models" / "standard" / "seed_1")


def enlarge(path):
  with path.open("r+b") as file:
    file.truncate(10 * 2**30)  # sparse: it takes no room


def a_config_of_ten_gigabytes(run, outside):
  enlarge(run / "config.json")


def records_of_ten_gigabytes(run, outside):
  for path in (*run.glob("models/*/*/stage.json"), *run.glob("studies/*/result.json")):
    enlarge(path)
  for path in run.glob("models/*/*/metrics.csv"):
    enlarge(path)


LINKED = r"workdir .* is refused: .* is a link to a folder"
UNFINISHED = r"training \S+, seed \d is not finished in workdir"
UNUSABLE = r"workdir .* cannot be used: .*config\.json "
OF_ANOTHER = r"workdir .* belongs to another config, which differs in"

# Attempt -> what main, evaluate and explain say.
ATTEMPTS = {
  a_lock_that_is_a_link: (r"workdir .* cannot be used: .*\.lock", HARMLESS, HARMLESS),
  explanations_that_are_a_link: (LINKED,) * 3,
  evaluations_that_are_a_link: (LINKED,) * 3,
  checkpoints_of_another_experiment: (LINKED,) * 3,
  a_study_that_is_a_link: (LINKED,) * 3,
  a_report_whose_folder_is_a_link: (LINKED,) * 3,
  a_pipe_as_config: (UNUSABLE,) * 3,
  a_pipe_as_record: (HARMLESS, UNFINISHED, UNFINISHED),
  names_that_lead_out: (OF_ANOTHER, UNFINISHED, UNFINISHED),
  huge_numbers: (OF_ANOTHER, UNFINISHED, UNFINISHED),
  huge_numbers_that_every_record_confirms: (OF_ANOTHER, UNFINISHED, UNFINISHED),
  a_network_that_fits_into_no_memory_and_that_every_record_confirms: (
    OF_ANOTHER,
    UNFINISHED,
    UNFINISHED,
  ),
  swapped_arrays: (HARMLESS,) * 3,
  pickled_arrays: (HARMLESS,) * 3,
  a_seed_that_is_a_copy: (r"holds results that this experiment would replace", *(UNFINISHED,) * 2),
  a_config_of_ten_gigabytes: (UNUSABLE,) * 3,
  records_of_ten_gigabytes: (HARMLESS, UNFINISHED, UNFINISHED),
}


@pytest.fixture
def outside(small, workdir):
  """What lies beside the folder, and is nobody's business."""
  folder = workdir.parent.parent / "outside"
  (folder / "pictures").mkdir(parents=True)
  (folder / "secret").write_text("precious")
  (folder / "pictures" / "standard.png").write_text("precious")
  other = small / "models" / "standard" / "seed_1" / "checkpoints"
  shutil.copytree(other, folder / "checkpoints")
  return folder


# What tests of single files show as well.
SLOW = (swapped_arrays, records_of_ten_gigabytes, huge_numbers_that_every_record_confirms)


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize(
  "attempt",
  [pytest.param(one, marks=pytest.mark.slow if one in SLOW else ()) for one in ATTEMPTS],
  ids=lambda attempt: attempt.__name__,
)
def test_a_folder_of_a_stranger_s_is_refused_or_harmless(
  attempt, workdir, outside, commands, state, correct, small, monkeypatch
):
  attempt(workdir, outside)
  before, around = state(workdir), state(outside)
  with monkeypatch.context() as patched:
    for change in ("save", "_write", "_delete"):
      patched.setattr(checkpoints, change, lambda *a, **k: pytest.fail("a reader has trained"))
    for command, expected in zip(("evaluate", "explain"), ATTEMPTS[attempt][1:], strict=True):
      assert_says(commands(command, workdir), expected)
  ours = ("evaluations", "explanations")
  after = {name: one for name, one in state(workdir).items() if name.split("/")[0] not in ours}
  kept = {name: one for name, one in before.items() if name.split("/")[0] not in ours}
  assert_equal(after, kept)

  expected = ATTEMPTS[attempt][0]
  assert_says(commands("main", workdir), expected)
  assert_equal(state(outside), around)
  assert sorted(path.name for path in workdir.parent.iterdir()) == ["run"]
  if expected == HARMLESS:
    np.testing.assert_array_equal(correct(workdir), correct(small))
  else:
    assert_equal(
      {name: one for name, one in state(workdir / "models").items() if name != "."},
      {
        name.removeprefix("models/"): one
        for name, one in before.items()
        if name.startswith("models/")
      },
    )


@pytest.mark.parametrize("command", ["evaluate", "explain"])
def test_a_folder_that_is_to_be_written_to_leads_nowhere_else(command, workdir, outside, commands):
  (out := workdir.parent / "out").mkdir()
  link(out / "batches", outside / "pictures")
  before = sorted(outside.rglob("*"))
  assert_matches(commands(command, workdir, out=out), r"out/batches is a link to a folder")
  assert sorted(outside.rglob("*")) == before
  assert [path.name for path in out.iterdir()] == ["batches"]


def assert_says(said, expected):
  if expected == HARMLESS:
    assert said == ""
  else:
    assert_matches(said, expected)
    assert len(said) < 1000


def assert_matches(said, expected):
  with pytest.raises(ValueError, match=expected):
    raise ValueError(said)


def assert_equal(after, before):
  # By name first: whole files are hard to read.
  assert [name for name in after if after[name] != before.get(name)] == []
  assert after.keys() == before.keys()


def test_prepared_data_cannot_name_code_for_any_command(workdir, tmp_path, commands, monkeypatch):
  folder = tmp_path / "data" / "mnist" / "3.0.1"
  folder.mkdir(parents=True)
  (folder / "mnist-train.array_record-00000-of-00001").touch()
  (folder / "features.json").write_text(json.dumps({"type": "evil_module.X", "content": {}}))
  (tmp_path / "evil_module.py").write_text("raise SystemExit('imported')")
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.setenv("ROBUST_SALIENCY_CACHE", str(tmp_path / "cache"))
  rewrite(workdir / "config.json", lambda kept: kept["config"]["dataset"].update(name="mnist"))
  monkeypatch.setattr(type(commands), "config", {**commands.config, "dataset": {"name": "mnist"}})
  for command in commands.names:
    said = commands(command, workdir, data_dir=str(tmp_path / "data"))
    assert_matches(said, "its features.json names the class 'evil_module.X', which is not one of")
  assert "evil_module" not in sys.modules
