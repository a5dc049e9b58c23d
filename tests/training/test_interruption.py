import gc
import os
import signal
import threading
import time
import weakref

import pytest

from robust_saliency.training import StoppedError, interruption


def send(number):
  os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_what_can_be_stopped_at_once(number):
  sentence = f"stopped by {number.name}: what is finished is saved"
  with pytest.raises(StoppedError, match=sentence), interruption.stopping_on_signals():
    send(number)


def test_what_is_deferred_runs_to_its_end():
  done = []

  def run():
    with interruption.deferred():
      assert not interruption.is_asked()
      send(signal.SIGTERM)
      assert interruption.is_asked()
      done.append("the step")
    done.append("the stage")
    interruption.check("all is saved")

  with (
    pytest.raises(StoppedError, match="stopped by SIGTERM: all is saved"),
    interruption.stopping_on_signals(),
  ):
    run()
  assert done == ["the step", "the stage"]


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_second_sigterm_breaks_off_neither_saving_nor_tidying_up(first):
  done = []

  def run():
    with interruption.deferred():
      send(first)
      send(signal.SIGTERM)
      done.append("saved")
    try:
      interruption.check("all is saved")
    finally:
      send(signal.SIGTERM)
      done.append("tidied up")

  sentence = f"stopped by {first.name}: all is saved"
  with pytest.raises(StoppedError, match=sentence), interruption.stopping_on_signals():
    run()
  assert done == ["saved", "tidied up"]


def test_a_second_ctrl_c_does_not_wait():
  def run():
    send(signal.SIGINT)
    send(signal.SIGINT)
    pytest.fail("the second signal waited")

  with pytest.raises(StoppedError), interruption.stopping_on_signals(), interruption.deferred():
    run()


def test_no_error_handler_of_a_library_takes_it_for_its_own():
  assert not issubclass(StoppedError, Exception)


def test_afterwards_signals_do_what_they_did_before():
  before = signal.getsignal(signal.SIGTERM)
  with pytest.raises(StoppedError), interruption.stopping_on_signals():
    send(signal.SIGTERM)
  assert signal.getsignal(signal.SIGTERM) is before
  assert not interruption.is_asked()


class Sending:
  def __del__(self):
    send(signal.SIGINT)


def on_collection(phase, info):
  if phase == "start":
    send(signal.SIGINT)


def by_destruction():
  Sending()


def by_collection():
  gc.callbacks.append(on_collection)
  try:
    gc.collect()
  finally:
    gc.callbacks.remove(on_collection)


def by_a_weak_reference():
  weakref.finalize(Sending, send, signal.SIGINT)()


@pytest.mark.parametrize("begin", [by_destruction, by_collection, by_a_weak_reference])
@pytest.mark.filterwarnings("error")  # what Python prints and forgets, pytest warns of
def test_where_python_forgets_errors_the_signal_comes_again_a_little_later(begin):
  after = []

  def run():
    begin()
    after.append("here")
    time.sleep(10)

  with pytest.raises(StoppedError, match="stopped by SIGINT"), interruption.stopping_on_signals():
    run()
  assert after == ["here"]


def test_in_another_thread_nothing_changes():
  seen = []

  def run():
    with interruption.stopping_on_signals():
      seen.append(signal.getsignal(signal.SIGTERM))

  thread = threading.Thread(target=run)
  thread.start()
  thread.join()
  assert seen == [signal.getsignal(signal.SIGTERM)]
