"""What comes back from a machine that is lent: few files of limited size, each of them whole."""

import io
import os
import sys
import tarfile
from pathlib import Path

MIB = 2**20
MOST_FILES, MOST_OF_ONE, MOST_TOGETHER = 8, 16 * MIB, 64 * MIB

# What finished phases have left, in the directory of the experiment.
FINISHED = "finished"
# Networks are too large (a state in training is three of them). The others repeat what `data` and
# the page have.
LEFT_OUT = ("checkpoints", "tensorboard", "studies", "figures", FINISHED)


class Outbox:
  """A folder whose files come back.

  Args:
    folder: it is made; what is in it already counts.
  """

  def __init__(self, folder: Path):
    self._folder = folder
    folder.mkdir(parents=True, exist_ok=True)

  def put(self, name: str, content: bytes) -> bool:
    """Writes a file, at once or not at all.

    Args:
      name: of letters, digits, ".", "_" and "-".
      content: its bytes.

    Returns:
      False, after a sentence that says why, where it would not come back.
    """
    others = [one for one in self._folder.iterdir() if one.is_file() and one.name != name]
    together = sum(one.stat().st_size for one in others) + len(content)
    reason = ""
    if len(content) > MOST_OF_ONE:
      reason = f"it has {len(content) / MIB:.1f} MiB, and {MOST_OF_ONE // MIB} may come back"
    elif len(others) >= MOST_FILES:
      reason = f"there are {MOST_FILES} files already"
    elif together > MOST_TOGETHER:
      reason = f"all would have {together / MIB:.1f} MiB, and {MOST_TOGETHER // MIB} may come back"
    if reason:
      print(f"{name} is left out: {reason}", file=sys.stderr)
      return False
    # Not a temporary file beside it, which would come back in its place.
    unfinished = self._folder.parent / f".unfinished-{os.getpid()}"
    unfinished.write_bytes(content)
    os.replace(unfinished, self._folder / name)
    return True


def packed(workdir: Path) -> bytes:
  """A compressed tar of what an experiment's directory shows: its page, arrays, tables, metrics.

  `robust_saliency.redraw` draws the report anew from it. Networks are left out.

  Args:
    workdir: the directory; its name is the folder's in the tar.
  """

  def shown(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = Path(entry.name).parts
    return None if any(part in LEFT_OUT or part == ".lock" for part in parts) else entry

  buffer = io.BytesIO()
  with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
    tar.add(workdir, arcname=workdir.name, filter=shown)
  return buffer.getvalue()
