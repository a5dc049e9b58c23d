import io

import numpy as np
import pytest

from robust_saliency.core import progress
from robust_saliency.core.programs import over_examples
from robust_saliency.core.progress import Progress, count, counting


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


def test_images_that_any_program_is_given_count_for_the_stage_around_it(clock):
  stream = io.StringIO()
  double = over_examples(lambda shared, numbers, x: shared * x, batch_size=2)
  with counting(Progress("robustness", None, unit="images", stream=stream)):
    clock[0] += 60
    double(2.0, np.ones(3))
    clock[0] += 60
    double(2.0, np.ones(3))
  assert stream.getvalue() == (
    "robustness: 2 images so far, 0.0/s\nrobustness: 5 images so far, 0.0/s\n"
  )


def test_a_stage_within_another_counts_for_itself_and_leaves_the_line_empty(clock):
  inner, outer = Terminal(), Terminal()
  with counting(Progress("outer", None, stream=outer)):
    count(3)
    with counting(Progress("inner", None, stream=inner)):
      clock[0] += 1
      count(2)
    count(4)
  assert inner.getvalue() == "\r\x1b[2Kinner: 2 steps so far, 2.0/s\r\x1b[2K"
  assert outer.getvalue() == "\r\x1b[2Kouter: 7 steps so far, 7.0/s\r\x1b[2K"


def test_outside_a_stage_nothing_is_counted(capsys):
  count(1)
  assert capsys.readouterr() == ("", "")
