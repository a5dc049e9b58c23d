import os
import signal
import threading

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


def test_a_second_signal_does_not_wait():
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


def test_in_another_thread_nothing_changes():
  seen = []

  def run():
    with interruption.stopping_on_signals():
      seen.append(signal.getsignal(signal.SIGTERM))

  thread = threading.Thread(target=run)
  thread.start()
  thread.join()
  assert seen == [signal.getsignal(signal.SIGTERM)]
