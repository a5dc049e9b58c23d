import numpy as np
import pytest

from robust_saliency.training import batch_indices, steps_per_epoch


def epoch_of(devices, *, examples=5, batch_size=2, epoch=0, **settings):
  steps = steps_per_epoch(examples, batch_size)
  return [
    batch_indices(
      step, examples=examples, batch_size=batch_size, devices=devices, seed=0, **settings
    )
    for step in range(epoch * steps, (epoch + 1) * steps)
  ]


def test_every_example_counts_once_per_epoch_on_one_device():
  assert [b.tolist() for b in epoch_of(1, shuffle=False)] == [[[0, 1]], [[2, 3]], [[4, -1]]]


def test_every_example_counts_once_per_epoch_on_eight_devices():
  _ = -1
  assert [b.ravel().tolist() for b in epoch_of(8, shuffle=False)] == [
    [0, 1, _, _, _, _, _, _],
    [2, 3, _, _, _, _, _, _],
    [4, _, _, _, _, _, _, _],
  ]
  assert [b.tolist() for b in epoch_of(8, examples=19, batch_size=10, shuffle=False)] == [
    [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [_, _], [_, _], [_, _]],
    [[10, 11], [12, 13], [14, 15], [16, 17], [18, _], [_, _], [_, _], [_, _]],
  ]


@pytest.mark.parametrize("devices", [1, 3, 8])
@pytest.mark.parametrize(("examples", "batch_size"), [(34, 12), (8, 8), (7, 20), (1, 1), (65, 16)])
def test_every_example_counts_once_in_every_shuffled_epoch(devices, examples, batch_size):
  for epoch in range(3):
    batches = epoch_of(devices, examples=examples, batch_size=batch_size, epoch=epoch)
    seen = np.concatenate([b.ravel() for b in batches])
    assert sorted(seen[seen >= 0]) == list(range(examples))
    assert {b.shape for b in batches} == {(devices, -(-batch_size // devices))}
    assert all(b.dtype == np.int32 for b in batches)


def test_the_number_of_devices_does_not_change_which_examples_share_a_step():
  for one, eight in zip(
    epoch_of(1, examples=34, batch_size=12), epoch_of(8, examples=34, batch_size=12), strict=True
  ):
    assert one[one >= 0].tolist() == eight[eight >= 0].tolist()


def test_order_is_a_function_of_seed_and_epoch():
  settings = {"examples": 1000, "batch_size": 1000, "devices": 1}
  orders = [batch_indices(step, seed=seed, **settings) for step in (0, 1) for seed in (0, 1)]
  for i, a in enumerate(orders):
    for b in orders[i + 1 :]:
      # Two independent orders agree in one place on average.
      assert np.sum(a == b) < 10
  np.testing.assert_array_equal(orders[3], batch_indices(1, seed=1, **settings))


def test_an_epoch_s_order_is_that_of_its_own_generator_and_is_drawn_once(monkeypatch):
  philox, drawn = np.random.Philox, []
  monkeypatch.setattr(np.random, "Philox", lambda **key: drawn.append(key) or philox(**key))
  for epoch in (0, 1, 0):
    batches = []
    for step in range(10 * epoch, 10 * (epoch + 1)):
      batch = batch_indices(step, examples=1000, batch_size=100, devices=3, seed=77)
      batches.append(batch[batch >= 0])
      batch[:] = 0  # the caller's own
    expected = np.random.Generator(philox(key=[77, epoch])).permutation(1000)
    np.testing.assert_array_equal(np.concatenate(batches), expected)
  assert drawn == [{"key": [77, 0]}, {"key": [77, 1]}]


@pytest.mark.parametrize(
  ("field", "value", "sentence"),
  [
    ("examples", 0, "examples must be >= 1, got 0"),
    ("batch_size", 0, "batch_size must be >= 1, got 0"),
    ("devices", 0, "devices must be >= 1, got 0"),
  ],
)
def test_numbers_that_make_no_batch_are_refused(field, value, sentence):
  settings = {"examples": 5, "batch_size": 2, "devices": 1, field: value}
  with pytest.raises(ValueError, match=sentence):
    batch_indices(0, seed=0, **settings)
