import io
import tarfile

import pytest

from gpu import outbox


@pytest.fixture
def small(monkeypatch):
  for name, limit in (("MOST_FILES", 3), ("MOST_OF_ONE", 100), ("MOST_TOGETHER", 150)):
    monkeypatch.setattr(outbox, name, limit)


@pytest.mark.parametrize(
  ("sizes", "arrived", "reason"),
  [
    ((100, 50), (100, 50), ""),
    ((101,), (), "b0 is left out: it has"),
    ((10, 10, 10, 10), (10, 10, 10), "b3 is left out: there are 3 files already"),
    ((100, 51, 50), (100, 50), "b1 is left out: all would have"),
  ],
)
def test_what_would_not_come_back_is_left_out_with_its_reason(
  small, tmp_path, capsys, sizes, arrived, reason
):
  box = outbox.Outbox(tmp_path / "out")
  for i, size in enumerate(sizes):
    box.put(f"b{i}", b"x" * size)
  assert sorted(path.stat().st_size for path in (tmp_path / "out").iterdir()) == sorted(arrived)
  said = capsys.readouterr().err
  assert reason in said
  assert bool(said) == bool(reason)


def test_a_file_replaces_the_one_of_its_name(small, tmp_path):
  box = outbox.Outbox(tmp_path)
  assert all(box.put("same", bytes(100)) for _ in range(5))


def test_a_pack_has_what_people_read_and_no_networks(tmp_path):
  workdir = tmp_path / "run"
  for name in (
    "report.html", "data/a.npz", "studies/a/a.npz", "figures/a.png", ".lock",
    "models/a/seed_0/metrics.csv",
    "models/a/seed_0/checkpoints/step_000000005/array", "models/a/seed_0/tensorboard/events",
    "finished/seed_0/report.tar.gz",
  ):  # fmt: skip
    (workdir / name).parent.mkdir(parents=True, exist_ok=True)
    (workdir / name).write_text(name)
  with tarfile.open(fileobj=io.BytesIO(outbox.packed(workdir))) as tar:
    assert {one.name for one in tar if one.isfile()} == {
      "run/report.html", "run/data/a.npz", "run/models/a/seed_0/metrics.csv",
    }  # fmt: skip
