"""Attacks in turn: who is spared, what counts, and runs that were cut off."""

import functools
import io
import json
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks import fgsm
from robust_saliency.attacks.evaluation.batch_files import BatchFiles
from robust_saliency.attacks.evaluation.ensemble import run_attacks
from robust_saliency.core import files

N = 30
KEY = jax.random.key(0)
EPSILON = 0.1
WEIGHTS = jnp.array([[1.0, -1.0, 0.0], [0.0, 0.5, -0.5]]).T
X = np.random.default_rng(3).uniform(0.2, 0.8, (N, 1, 3, 1)).astype(np.float32)


def logits_fn(x):
  return x.reshape(len(x), -1) @ WEIGHTS


# The last five are misclassified from the start.
Y = np.argmax(X.reshape(N, 3) @ np.asarray(WEIGHTS), axis=1).astype(np.int32)
Y[-5:] = 1 - Y[-5:]


def random_signs(key, logits_fn, x, y, epsilon=EPSILON):
  """Breaks some examples, by luck."""
  del logits_fn, y
  signs = jax.vmap(lambda k, image: jax.random.rademacher(k, image.shape, x.dtype))(key, x)
  return x + epsilon * signs


def nothing(key, logits_fn, x, y):
  del key, logits_fn, y
  return x


BEST = functools.partial(fgsm, epsilon=EPSILON, loss="cw_margin")
ATTACKS = {"random": random_signs, "best": BEST}


def run(attacks=ATTACKS, **settings):
  settings = {"epsilon": EPSILON, "batch_size": 8} | settings
  return run_attacks(KEY, logits_fn, X, Y, attacks=attacks, **settings)


def same(first, second):
  for field in ("correct", "tried", "broken", "outside", "x_adv", "robust"):
    np.testing.assert_array_equal(getattr(first, field), getattr(second, field))


@pytest.fixture(scope="module")
def uninterrupted():
  return run()


def test_the_verdict_is_the_closed_form_of_a_linear_model(uninterrupted):
  flat, weights = X.reshape(N, 3).astype(float), np.asarray(WEIGHTS, float)
  logits = flat @ weights
  rows = np.arange(N)
  margin = logits[rows, Y] - logits[rows, 1 - Y]
  reach = EPSILON * np.abs(weights[:, 0] - weights[:, 1]).sum()
  np.testing.assert_array_equal(uninterrupted.correct, margin > 0)
  np.testing.assert_array_equal(uninterrupted.robust, margin > reach)
  assert 0 < uninterrupted.accuracy < uninterrupted.accuracy_under[0] < 25 / N
  np.testing.assert_allclose(uninterrupted.accuracy_under[-1], uninterrupted.accuracy)


def test_later_attacks_get_only_what_is_left(uninterrupted):
  broken, tried = uninterrupted.broken, uninterrupted.tried
  assert broken[0].any()
  assert broken[1].any()
  np.testing.assert_array_equal(tried[0], uninterrupted.correct)
  np.testing.assert_array_equal(tried[1], uninterrupted.correct & ~broken[0])
  assert not (broken & ~tried).any()
  expected = np.where(broken[0], 0, np.where(broken[1], 1, -1))
  np.testing.assert_array_equal(uninterrupted.broken_by, expected)
  untouched = ~broken.any(axis=0)
  np.testing.assert_array_equal(uninterrupted.x_adv[untouched], X[untouched])
  assert (uninterrupted.x_adv[~untouched] != X[~untouched]).any(axis=(1, 2, 3)).all()
  assert (np.argmax(logits_fn(uninterrupted.x_adv), 1) != Y)[~untouched].all()


def test_side_by_side_every_attack_gets_all_and_the_first_success_is_kept(uninterrupted):
  verdicts = run(in_turn=False)
  assert (verdicts.tried == verdicts.correct).all()
  assert (verdicts.broken.sum(axis=0) == 2).any()
  np.testing.assert_array_equal(verdicts.broken[0], uninterrupted.broken[0])
  np.testing.assert_array_equal(verdicts.x_adv, uninterrupted.x_adv)
  np.testing.assert_array_equal(verdicts.robust, uninterrupted.robust)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(("batch_size", "devices"), [(1, 8), (7, 1), (64, 8)])
def test_neither_batch_size_nor_devices_change_a_verdict(
  uninterrupted, monkeypatch, batch_size, devices
):
  monkeypatch.setattr(jax, "local_device_count", lambda: devices)
  same(run(batch_size=batch_size), uninterrupted)


def test_neither_other_attacks_nor_one_key_or_many_change_a_verdict(uninterrupted):
  keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(KEY, jnp.arange(N))
  verdicts = run_attacks(
    keys, logits_fn, X, Y, attacks={"no": nothing} | ATTACKS, epsilon=EPSILON, batch_size=30
  )
  np.testing.assert_array_equal(verdicts.broken[1:], uninterrupted.broken)
  assert not verdicts.broken[0].any()


def test_images_outside_the_ball_do_not_count_whatever_the_network_says():
  far = functools.partial(random_signs, epsilon=0.3)
  verdicts = run({"far": far, "best": BEST})
  assert not verdicts.broken[0].any()
  np.testing.assert_array_equal(verdicts.outside[0], verdicts.tried[0])
  assert not verdicts.outside[1].any()
  assert verdicts.accuracy_under[0] == verdicts.correct.mean()
  assert run({"far": far}, epsilon=None).accuracy < verdicts.correct.mean()


def test_an_attack_that_gives_nan_breaks_nothing():
  verdicts = run({"nan": lambda key, logits_fn, x, y: x * jnp.nan})
  np.testing.assert_array_equal(verdicts.outside[0], verdicts.tried[0])
  np.testing.assert_array_equal(verdicts.x_adv, X)
  assert verdicts.accuracy == verdicts.correct.mean()


def test_logits_of_nan_are_wrong_even_where_their_argmax_is_the_class():
  def sometimes_nan(x):
    return jnp.where(x[:, 0, :1, 0] > 0.5, jnp.nan, logits_fn(x))

  verdicts = run_attacks(
    KEY, sometimes_nan, X, np.zeros(N, np.int32), attacks={"no": nothing}, epsilon=0.1
  )
  np.testing.assert_array_equal(
    verdicts.correct, (X[:, 0, 0, 0] <= 0.5) & (np.argmax(logits_fn(X), 1) == 0)
  )


@pytest.mark.parametrize("logits", [functools.partial(logits_fn), lambda x: logits_fn(x)])
def test_any_function_will_do_as_a_network(uninterrupted, logits):
  same(run_attacks(KEY, logits, X, Y, attacks=ATTACKS, epsilon=EPSILON), uninterrupted)


class PulledPlugError(Exception):
  pass


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("finished", [0, 1, 4])
def test_a_run_that_was_cut_off_goes_on_and_ends_with_the_same_arrays(
  uninterrupted, monkeypatch, tmp_path, finished
):
  save, saved = BatchFiles.save, []

  def save_and_fail(self, attack, batch):
    if len(saved) == finished:
      raise PulledPlugError
    saved.append(attack)
    save(self, attack, batch)

  with monkeypatch.context() as patch:
    patch.setattr(BatchFiles, "save", save_and_fail)
    with pytest.raises(PulledPlugError):
      run(workdir=tmp_path)
  again = []
  with monkeypatch.context() as patch:
    patch.setattr(BatchFiles, "save", lambda s, a, b: (again.append(a), save(s, a, b)))
    same(run(workdir=tmp_path), uninterrupted)
  complete = sum(1 for _ in tmp_path.glob("*/*.npz"))
  assert len(saved) == finished
  assert len(again) == complete - finished
  with np.load(tmp_path / "result.npz") as arrays:
    np.testing.assert_array_equal(arrays["x_adv"], uninterrupted.x_adv)
    np.testing.assert_array_equal(arrays["robust"], uninterrupted.robust)
  metadata = json.loads((tmp_path / "result.json").read_text())
  assert metadata["accuracy"] == uninterrupted.accuracy
  assert metadata["attacks"] == ["random", "best"]
  check = ["sha256sum", "--check", "--quiet", "result.npz.sha256", "result.json.sha256"]
  assert subprocess.run(check, cwd=tmp_path, check=False).returncode == 0


SLOW_RUN = """
import runpy, sys, time
import jax, numpy as np
test = runpy.run_path(sys.argv[1])

def slowly(key, logits_fn, x, y):
  def wait(x):
    time.sleep(0.2)
    return np.asarray(x)
  x = jax.pure_callback(wait, jax.ShapeDtypeStruct(x.shape, x.dtype), x)
  return test["random_signs"](key, logits_fn, x, y)

attacks = {"random": slowly, "best": test["BEST"]}
verdicts = test["run"](attacks, workdir=sys.argv[2])
np.savez(sys.argv[3], x_adv=verdicts.x_adv, broken=verdicts.broken, robust=verdicts.robust)
"""


@pytest.mark.slow
def test_a_killed_process_goes_on_and_ends_with_the_same_arrays(tmp_path):
  def start(name):
    paths = [__file__, str(tmp_path / name), str(tmp_path / f"{name}.npz")]
    return subprocess.Popen([sys.executable, "-c", SLOW_RUN, *paths])

  with start("whole") as process:
    assert process.wait() == 0
  with start("killed") as process:
    while not list((tmp_path / "killed").glob("*/*.npz.sha256")):
      assert process.poll() is None
      time.sleep(0.02)
    process.kill()
  assert process.returncode == -signal.SIGKILL
  done = len(list((tmp_path / "killed").glob("*/*.npz")))
  assert 1 <= done < len(list((tmp_path / "whole").glob("*/*.npz")))
  with start("killed") as process:
    assert process.wait() == 0
  first, second = (np.load(tmp_path / f"{name}.npz") for name in ("whole", "killed"))
  for array in ("x_adv", "broken", "robust"):
    np.testing.assert_array_equal(first[array], second[array])


def test_a_finished_run_attacks_nothing_again(uninterrupted, tmp_path):
  run(workdir=tmp_path)
  verdicts = run(workdir=tmp_path, batch_size=5)
  same(verdicts, uninterrupted)
  assert not verdicts.compile_seconds.any()
  assert (verdicts.seconds > 0).all()


def test_a_damaged_batch_is_attacked_again(uninterrupted, tmp_path):
  run(workdir=tmp_path)
  batches = sorted(tmp_path.glob("*/*.npz"))
  content = bytearray(batches[1].read_bytes())
  content[len(content) // 2] ^= 1
  batches[1].write_bytes(content)
  batches[2].with_name(f"{batches[2].name}.sha256").unlink()
  same(run(workdir=tmp_path), uninterrupted)
  assert sorted(tmp_path.glob("*/*.npz")) == batches


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
  "changed",
  [
    {"indices": np.array([10**6])},
    {"indices": np.array([[0]])},
    {"broken": np.array([1.0])},
    {"x_adv": np.zeros((9, 1))},
    {"seconds": np.array([object()])},
    {"other": np.zeros(1)},
  ],
)
def test_a_batch_of_other_images_with_a_digest_of_its_own_is_attacked_again(
  tmp_path, changed, uninterrupted
):
  run(workdir=tmp_path)
  path = sorted(tmp_path.glob("*/*.npz"))[1]
  with np.load(path) as archive:
    arrays = {**archive, **changed}
  stream = io.BytesIO()
  np.savez(stream, **arrays)
  files.write_with_digest(path, stream.getvalue())
  same(run(workdir=tmp_path), uninterrupted)


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize(
  ("change", "words"),
  [
    ({"epsilon": 0.2}, r"differs in epsilon \(0.1 there, 0.2 here\); choose another workdir"),
    ({"attacks": {"random": random_signs}}, "differs in attacks"),
    ({"attacks": ATTACKS | {"best": functools.partial(BEST, epsilon=0.09)}}, "attacks"),
    ({"in_turn": False}, r"in turn \(True there, False here\)"),
    ({"x": np.flip(X)}, "images, the network's logits"),
    ({"y": np.flip(Y)}, "differs in labels"),
    ({"key": jax.random.key(1)}, "differs in key"),
    ({"logits_fn": lambda x: 1.01 * logits_fn(x)}, "differs in the network's logits"),
  ],
  ids=["epsilon", "fewer", "setting", "order", "images", "labels", "key", "network"],
)
def test_another_run_is_refused_with_what_differs(tmp_path, change, words):
  settings = {"key": KEY, "logits_fn": logits_fn, "x": X, "y": Y, "attacks": ATTACKS}
  settings |= {"epsilon": EPSILON, "workdir": tmp_path}
  identity = {}
  with pytest.MonkeyPatch.context() as patch:

    def claimed(self, given):
      identity.update(given)
      raise PulledPlugError

    patch.setattr(BatchFiles, "opened", claimed)
    with pytest.raises(PulledPlugError):
      call(**settings)
  with BatchFiles(tmp_path).opened(identity):
    pass
  with pytest.raises(ValueError, match=words):
    call(**settings | change)


def call(key, logits_fn, x, y, **settings):
  return run_attacks(key, logits_fn, x, y, **settings)


def test_logits_that_differ_by_rounding_are_the_same_network(tmp_path):
  run(workdir=tmp_path)
  verdicts = run_attacks(
    KEY,
    lambda x: logits_fn(x) * (1 + 1e-6),
    X,
    Y,
    attacks=ATTACKS,
    epsilon=EPSILON,
    workdir=tmp_path,
  )
  assert not verdicts.compile_seconds.any()


@pytest.mark.slow
def test_a_directory_in_use_is_refused(tmp_path):
  code = (
    "import sys, pathlib; from robust_saliency.core import folders\n"
    "with folders.locked(pathlib.Path(sys.argv[1]) / '.lock'): print('held', flush=True); input()"
  )
  command = [sys.executable, "-c", code, str(tmp_path)]
  with subprocess.Popen(
    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
  ) as holder:
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match=f"is in use: process {holder.pid} "):
      run(workdir=tmp_path)
    holder.communicate("\n")


def test_a_damaged_description_of_the_run_is_refused(tmp_path):
  run({"no": nothing}, workdir=tmp_path)
  (tmp_path / "run.json").write_text("{")
  with pytest.raises(ValueError, match=r"run\.json is damaged; delete"):
    run({"no": nothing}, workdir=tmp_path)


@pytest.mark.parametrize(
  ("change", "error", "words"),
  [
    ({"attacks": {}}, ValueError, "attacks must name at least one attack"),
    ({"epsilon": -0.1}, ValueError, "epsilon must be >= 0, got -0.1"),
    ({"batch_size": 0}, ValueError, "batch_size must be >= 1"),
    ({"norm": "l3"}, ValueError, "norm must be one of"),
    ({"y": Y[:3]}, ValueError, "y must have one class per image"),
    ({"x": X[:0], "y": Y[:0]}, ValueError, "x must hold at least one image"),
    ({"x": X + 1}, ValueError, "x must lie within bounds"),
  ],
)
def test_bad_arguments_are_named(change, error, words):
  settings = {"key": KEY, "logits_fn": logits_fn, "x": X, "y": Y, "attacks": ATTACKS}
  with pytest.raises(error, match=words):
    call(**settings | {"epsilon": EPSILON} | change)


def test_tracing_is_refused_in_a_sentence():
  with pytest.raises(TypeError, match="run on the host and cannot be traced"):
    jax.jit(lambda x: run_attacks(KEY, logits_fn, x, Y, attacks=ATTACKS, epsilon=0.1).x_adv)(X)
