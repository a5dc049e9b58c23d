import numpy as np

from robust_saliency.studies.targeted.reading import stroke_size, target_rate

LABELS = np.array([0, 2])


def read_by_hand():
  """Models a, b, c; two originals, three targets."""
  predictions = np.zeros((3, 3, 2, 3), int)
  predictions[:] = LABELS[:, None]  # everybody reads the label
  predictions[0, 0] = np.arange(3)  # a reads its own targets,
  predictions[0, 1, 0] = [0, 1, 0]  # b one of the first original's two
  return predictions


def test_the_target_rate_leaves_untouched_images_out():
  rates = target_rate(read_by_hand(), LABELS)
  assert rates[0, 0].tolist() == [1, 1]
  assert rates[1, 0].tolist() == [0, 0]


def test_the_transfer_hit_rate_asks_all_other_networks():
  # Of the first original b reads 1 of 2, c none; of the second nobody any.
  assert target_rate(read_by_hand(), LABELS)[0, 3].tolist() == [0.25, 0]


def test_networks_that_are_not_asked_are_not_among_the_others():
  rates = target_rate(read_by_hand(), LABELS, asked=np.array([True, True, False]))
  assert rates[0, 3].tolist() == [0.5, 0]
  alone = target_rate(read_by_hand(), LABELS, asked=np.array([True, False, False]))
  assert np.isnan(alone[0, 3]).all()
  assert alone[1, 3].tolist() == [0, 0]


def test_strokes_are_groups_of_changed_pixels_that_touch():
  images = np.zeros((1, 4, 4, 1), np.uint8)
  stroke, scattered = np.zeros((2, 1, 2, 4, 4, 1), np.uint8)
  stroke[0, 1, [0, 1, 2], [0, 1, 2]] = 255  # one diagonal stroke of three,
  scattered[0, 1, [0, 0, 3], [0, 3, 0]] = 255  # three pixels apart
  labels = np.zeros(1, int)
  assert stroke_size(stroke, images, labels).tolist() == [3]
  assert stroke_size(scattered, images, labels).tolist() == [1]
