import io

import pytest

from robust_saliency.training import progress
from robust_saliency.training.progress import Progress


class Terminal(io.StringIO):
  def isatty(self):
    return True


@pytest.fixture
def clock(monkeypatch):
  """A clock that stands still until it is set."""
  now = [100.0]
  monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
  return now


def test_a_log_gets_a_plain_line_now_and_then(clock):
  stream = io.StringIO()
  stage = Progress("training", 100, stream=stream)
  clock[0] += 29
  stage.update(10)
  assert stream.getvalue() == ""
  clock[0] += 31
  stage.update(30, "loss 0.5")
  assert stream.getvalue() == "training: 30/100 steps, 0.5/s, 2 min 20 s left, loss 0.5\n"


def test_a_terminal_gets_one_changing_line(clock):
  stream = Terminal()
  stage = Progress("training", 100, stream=stream)
  clock[0] += 1
  stage.update(50)
  clock[0] += 0.1
  stage.update(55)
  stage.finish("loss 0.1")
  assert stream.getvalue() == (
    "\r\x1b[2Ktraining: 50/100 steps, 50.0/s, 1.0 s left"
    "\r\x1b[2Ktraining: done in 1.1 s, loss 0.1\n"
  )


def test_the_rate_of_a_resumed_stage_counts_only_what_was_done_now(clock):
  stream = Terminal()
  stage = Progress("training", 100, start=90, stream=stream)
  clock[0] += 5
  stage.update(95)
  assert "95/100 steps, 1.0/s, 5.0 s left" in stream.getvalue()


def test_without_progress_the_time_left_is_unknown(clock):
  stream = Terminal()
  stage = Progress("training", 100, stream=stream)
  clock[0] += 5
  stage.update(0)
  assert "0.0/s, ? left" in stream.getvalue()


def test_a_hidden_stage_writes_nothing(clock):
  stream = Terminal()
  stage = Progress("training", 100, stream=stream, shown=False)
  clock[0] += 5
  stage.update(5)
  stage.finish()
  assert stream.getvalue() == ""
