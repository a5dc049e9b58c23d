"""The experiment's directory: whose it is, who is using it, and which folders are its own."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robust_saliency.core import files, folders, records
from robust_saliency.core.differing import differing

CONFIG_NAME = "config.json"
LOCK_NAME = ".lock"
LOCKS = ".locks"  # of single stages
FORMAT = 1
_FIELDS: dict[str, records.Form] = {
  "config": records.FIELDS,
  "imports": records.Each(records.LIST, records.Each(records.LIST, records.TEXT)),
}
LONGEST = 200  # characters that a sentence repeats of one difference
# What a report says changes no stage.
WORDS = ("title", "summary", "scale", "claims", "published")


class WorkdirError(ValueError):
  """A working directory that this experiment cannot use."""


def read_config(workdir: Path) -> dict[str, Any] | None:
  """The config that a directory belongs to; None where it belongs to none."""
  kept = _read(workdir)
  return None if kept is None else kept["config"]


def read_imports(workdir: Path) -> list[list[str]]:
  """The names and digests of the imports that a directory was made with."""
  return (_read(workdir) or {}).get("imports", [])


def _read(workdir: Path) -> dict[str, Any] | None:
  """What is kept of the config.

  Raises:
    WorkdirError: if it cannot be read, is damaged, or was left by another version.
  """
  path = workdir / CONFIG_NAME
  try:
    if not path.exists():
      return None
    kept = records.read_record(path)
    if kept.get("format") == FORMAT:
      records.check_fields(kept, _FIELDS, path)
      if any(len(one) != 2 for one in kept["imports"]):
        raise files.DamagedFileError(f"{path}: imports must be pairs of a name and a digest")
      return kept
  except (OSError, ValueError) as error:
    raise WorkdirError(f"workdir {workdir} cannot be used: {error}") from None
  raise WorkdirError(
    f"workdir {workdir} was left by another version of robust_saliency, whose folders are laid out "
    "otherwise; choose another --workdir"
  )


def is_same(known: Mapping[str, Any] | None, given: Mapping[str, Any]) -> bool:
  """Whether two configs compute the same, whatever they say of it."""
  # As text, since the order of models is that of a study's axes.
  return known is not None and _of_work(known) == _of_work(given)


def claim(
  workdir: Path,
  config: Mapping[str, Any],
  *,
  rerun_changed: bool | None = False,
  stages: Sequence[str] = (),
  imports: Sequence[Sequence[str]] = (),
) -> None:
  """Makes the directory this config's, or finds that it is so already.

  Args:
    workdir: the directory; it is made.
    config: the experiment.
    rerun_changed: makes a directory of another config this one's; stages that have not changed
      recognise their results, the others replace them. None for no, where a user cannot ask for it.
    stages: what it would compute, for the sentence that refuses.
    imports: names and digests of the files that its own methods come from.

  Raises:
    WorkdirError: if it cannot be written to, is in use, or belongs to another config.
  """
  given = json.loads(files.json_text(config))
  try:
    folders.refuse_unwritable(workdir)
  except OSError as error:
    raise WorkdirError(f"workdir {workdir} cannot be used: {error}") from None
  known = read_config(workdir)
  made_with = [list(one) for one in imports]
  same = files.json_text(known) == files.json_text(given)  # as text: their order counts
  if known is not None and same and read_imports(workdir) == made_with:
    return
  if known is not None and not rerun_changed:
    if not is_same(known, given):
      kept, wanted = (json.loads(_of_work(one)) for one in (known, given))
      different = differences(kept, wanted) or ["the order of its fields"]
      said = f"{workdir} belongs to another config, which differs in {_cut(different)}"
      if rerun_changed is None:
        raise WorkdirError(f"{said}; choose another folder, or delete this one to start over")
      raise WorkdirError(
        f"workdir {said}. With --rerun_changed this one would compute {_cut(stages) or 'nothing'}, "
        "and keep the rest; or choose another --workdir, or delete this one to start over."
      )
  kept_config = {"format": FORMAT, "config": given, "imports": made_with}
  files.write_with_digest(workdir / CONFIG_NAME, files.json_text(kept_config).encode())


def refuse_links(workdir: Path) -> None:
  """Raises for a directory with a folder that is a link, before anything is read or written.

  Raises:
    WorkdirError: naming the link.
  """
  try:
    folders.refuse_linked_folders(workdir)
  except files.DamagedFileError as error:
    raise WorkdirError(f"workdir {workdir} is refused: {error}") from None


@contextlib.contextmanager
def in_use(workdir: Path) -> Iterator[None]:
  """Keeps other runs out of the directory.

  Raises:
    WorkdirError: if another run is there, the directory cannot be written to, or a folder in it is
      a link.
  """
  with contextlib.ExitStack() as stack:
    try:
      workdir.mkdir(parents=True, exist_ok=True)
      refuse_links(workdir)
      stack.enter_context(folders.locked(workdir / LOCK_NAME))
    except BlockingIOError as error:
      raise WorkdirError(
        f"workdir {workdir} is in use: {error}. Wait for it, stop it, or choose another --workdir."
      ) from None
    except OSError as error:
      raise WorkdirError(f"workdir {workdir} cannot be used: {error}") from None
    yield


def differences(known: Any, given: Any) -> list[str]:
  """Where two configs differ, with both values.

  >>> differences({"seeds": [0], "steps": 1}, {"seeds": [0], "steps": 2})
  ['steps (1 there, 2 here)']
  """
  found = differing([known, given], absent="nothing")
  return [f"{field} ({there} there, {here} here)" for field, (there, here) in found]


def _of_work(config: Mapping[str, Any]) -> str:
  return files.json_text({name: value for name, value in config.items() if name not in WORDS})


def _cut(words: Sequence[str], most: int = 6) -> str:
  shown = [
    *(one[:LONGEST] for one in words[:most]),
    *([f"{len(words) - most} more"] if len(words) > most else []),
  ]
  return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
