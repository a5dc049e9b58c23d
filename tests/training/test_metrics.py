import math

from tensorboardX.proto.event_pb2 import Event

from robust_saliency.training import MetricsWriter, read_metrics


def events_of(directory):
  """(step, name) -> value of every scalar, read from TensorBoard's record format itself."""
  scalars = {}
  for path in sorted((directory / "tensorboard").glob("events.out.tfevents.*")):
    content, position = path.read_bytes(), 0
    while position < len(content):
      # A record: its length (8 bytes), a checksum (4), the event, a checksum (4).
      length = int.from_bytes(content[position : position + 8], "little")
      event = Event.FromString(content[position + 12 : position + 12 + length])
      for value in event.summary.value:
        scalars[event.step, value.tag] = value.simple_value
      position += 12 + length + 4
  return scalars


def test_rows_are_read_back_as_they_were_written(tmp_path):
  writer = MetricsWriter(tmp_path)
  rows = [{"step": 10, "loss": 0.1 + 0.2, "accuracy": 1.0}, {"step": 20, "loss": 1e-30}]
  for row in rows:
    writer.write(row["step"], {name: value for name, value in row.items() if name != "step"})
  writer.close()
  assert read_metrics(tmp_path) == rows
  header, *lines = (tmp_path / "metrics.csv").read_text().splitlines()
  assert header == "step,loss,accuracy"
  assert lines[1] == "20,1e-30,"


def test_a_run_without_metrics_has_no_rows(tmp_path):
  assert read_metrics(tmp_path) == []


def test_a_continued_run_has_every_row_once(tmp_path):
  first = MetricsWriter(tmp_path)
  for step in (1, 2, 3):
    first.write(step, {"loss": float(step)})
  first.close()
  # The checkpoint was at step 2; step 3 is taken again.
  second = MetricsWriter(tmp_path, resumed_at=2)
  for step in (3, 4):
    second.write(step, {"loss": step + 0.5})
  second.close()
  assert [(r["step"], r["loss"]) for r in read_metrics(tmp_path)] == [
    (1, 1.0),
    (2, 2.0),
    (3, 3.5),
    (4, 4.5),
  ]


def test_tensorboard_s_files_hold_the_same_numbers(tmp_path):
  writer = MetricsWriter(tmp_path)
  writer.write(5, {"loss": 0.25, "accuracy": 0.5})
  writer.write(10, {"loss": 0.125, "accuracy": 1.0})
  writer.close()
  assert events_of(tmp_path) == {
    (5, "loss"): 0.25,
    (5, "accuracy"): 0.5,
    (10, "loss"): 0.125,
    (10, "accuracy"): 1.0,
  }


def test_tensorboard_is_told_to_forget_the_steps_that_are_taken_again(tmp_path):
  MetricsWriter(tmp_path, resumed_at=2).close()
  (path,) = (tmp_path / "tensorboard").iterdir()
  # SessionLog.START with the first step that is to be forgotten: TensorBoard's own protocol.
  content, position, starts = path.read_bytes(), 0, []
  while position < len(content):
    length = int.from_bytes(content[position : position + 8], "little")
    event = Event.FromString(content[position + 12 : position + 12 + length])
    if event.HasField("session_log"):
      starts.append((event.step, event.session_log.status))
    position += 12 + length + 4
  assert starts == [(3, 1)]


def test_all_processes_but_the_first_leave_the_disk_alone(tmp_path):
  writer = MetricsWriter(tmp_path, writes=False)
  writer.write(1, {"loss": 1.0})
  writer.close()
  assert list(tmp_path.iterdir()) == []


def test_numbers_that_are_not_finite_are_kept(tmp_path):
  writer = MetricsWriter(tmp_path)
  writer.write(1, {"loss": math.inf})
  writer.close()
  assert read_metrics(tmp_path) == [{"step": 1, "loss": math.inf}]
