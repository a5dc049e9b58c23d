"""A file of maps ends with the same bytes, wherever whoever makes it was killed."""

import numpy as np
import pytest

from robust_saliency.core import files
from robust_saliency.studies.target_maps.map_file import MapFile, open_maps

SHAPE = (23, 2, 3, 1)
MAPS = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


class KilledError(Exception):
  pass


class Maker:
  """Gives maps, counts how often, and is killed when it has given some."""

  def __init__(self, killed_after=None):
    self.asked, self._killed_after = [], killed_after

  def __call__(self, part):
    if len(self.asked) == self._killed_after:
      raise KilledError
    self.asked.append((part.start, part.stop))
    return MAPS[part]


def make(folder, maker, examples=5):
  return MapFile(folder / "seed_0.npy", SHAPE).make(maker, examples=examples)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  folder = tmp_path_factory.mktemp("whole")
  return make(folder, Maker()), (folder / "seed_0.npy").read_bytes()


def test_it_holds_the_maps_and_nothing_is_left_beside_it(tmp_path):
  digest = make(tmp_path, Maker())
  maps = open_maps(tmp_path / "seed_0.npy", digest)
  np.testing.assert_array_equal(maps, MAPS)
  assert isinstance(maps, np.memmap)
  assert digest == files.digest((tmp_path / "seed_0.npy").read_bytes())
  names = {path.name for path in tmp_path.iterdir()}
  assert names == {"seed_0.npy", "seed_0.npy.sha256"}


@pytest.mark.parametrize("chunks", range(5))
def test_a_kill_between_chunks_loses_none_and_leaves_no_trace(chunks, whole, tmp_path):
  with pytest.raises(KilledError):
    make(tmp_path, Maker(killed_after=chunks))
  maker = Maker()
  assert make(tmp_path, maker) == whole[0]
  assert (tmp_path / "seed_0.npy").read_bytes() == whole[1]
  assert len(maker.asked) == 5 - chunks


@pytest.mark.parametrize("number", range(1, 18, 2))
def test_a_kill_at_any_file_leaves_no_trace(number, whole, tmp_path, monkeypatch):
  # Of each chunk three files are replaced, its digest twice; then two at the end.
  replace, seen = files.os.replace, []

  def killed(*paths):
    seen.append(paths)
    if len(seen) == number:
      raise KilledError
    return replace(*paths)

  monkeypatch.setattr(files.os, "replace", killed)
  with pytest.raises(KilledError):
    make(tmp_path, Maker())
  monkeypatch.setattr(files.os, "replace", replace)
  assert make(tmp_path, Maker()) == whole[0]
  assert (tmp_path / "seed_0.npy").read_bytes() == whole[1]


@pytest.mark.parametrize("examples", [1, 4, 23, 100])
def test_chunks_of_another_size_give_the_same_file(examples, whole, tmp_path):
  with pytest.raises(KilledError):
    make(tmp_path, Maker(killed_after=2))
  assert make(tmp_path, Maker(), examples=examples) == whole[0]
  assert {path.name for path in tmp_path.iterdir()} == {"seed_0.npy", "seed_0.npy.sha256"}


@pytest.mark.parametrize(
  "damage", [lambda c: c[:-1], lambda c: c[:40] + b"x" + c[41:], lambda c: b""]
)
def test_a_damaged_chunk_is_made_again(damage, whole, tmp_path):
  with pytest.raises(KilledError):
    make(tmp_path, Maker(killed_after=3))
  path = tmp_path / "seed_0" / "from-000005.npy"
  path.write_bytes(damage(path.read_bytes()))
  maker = Maker()
  assert make(tmp_path, maker) == whole[0]
  assert maker.asked == [(5, 10), (15, 20), (20, 23)]


def test_a_flipped_bit_in_the_file_is_noticed_and_it_is_made_again(whole, tmp_path):
  digest = make(tmp_path, Maker())
  path = tmp_path / "seed_0.npy"
  content = bytearray(path.read_bytes())
  content[200] ^= 1
  path.write_bytes(content)
  with pytest.raises(files.DamagedFileError, match=r"seed_0\.npy is damaged"):
    open_maps(path, digest)
  maker = Maker()
  assert make(tmp_path, maker) == digest
  assert len(maker.asked) == 5
  maker = Maker()
  assert make(tmp_path, maker) == digest
  assert not maker.asked


def test_what_a_killed_process_was_writing_is_cleared_away(tmp_path):
  (tmp_path / ".seed_0.npy.0123abcd").write_bytes(b"half of it")
  make(tmp_path, Maker())
  assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
  "content", [b"", b"\x93NUMPY", files.npz({"a": np.zeros(3)}), b"not of NumPy"]
)
def test_a_stranger_s_file_with_a_digest_that_is_right_is_refused(content, tmp_path):
  path = tmp_path / "seed_0.npy"
  files.write_with_digest(path, content)
  with pytest.raises(files.DamagedFileError, match=r"seed_0\.npy"):
    open_maps(path, files.digest(content))
  with pytest.raises(files.DamagedFileError, match="other maps than those that were made"):
    open_maps(path, files.digest(b"other"))
