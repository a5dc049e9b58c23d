import io

import numpy as np
import pytest
from PIL import Image

from robust_saliency.drawing import mosaic
from robust_saliency.drawing.mosaic import Frame
from robust_saliency.drawing.palette import model_styles

RANDOM = np.random.default_rng(0)


def draw(tiles, **settings):
  rows, columns = (list(map(str, range(n))) for n in tiles.shape[:2])
  return mosaic.mosaic(tiles, rows, columns, title="title", **settings)


def pixels(png):
  return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def rgb(colour):
  return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def contains(drawn, block):
  """Whether an image of one colour channel stands somewhere in the drawing, dot by dot."""
  windows = np.lib.stride_tricks.sliding_window_view(drawn[..., 0], (1, block.shape[1]))
  rows, columns = np.nonzero((windows[:, :, 0] == block[0]).all(axis=-1))
  height, width = block.shape
  return any(
    np.array_equal(drawn[row : row + height, column : column + width, 0], block)
    for row, column in zip(rows, columns, strict=True)
  )


@pytest.mark.parametrize(("shape", "factor"), [((28, 28, 1), 3), ((8, 8, 1), 10), ((6, 9, 3), 9)])
def test_every_pixel_is_the_same_whole_number_of_dots_and_keeps_its_grey(shape, factor):
  tiles = RANDOM.integers(0, 256, (2, 3, *shape), dtype=np.uint8)
  drawn = pixels(draw(tiles)[2])
  for row, column in np.ndindex(2, 3):
    block = tiles[row, column, :, :, 0].repeat(factor, axis=0).repeat(factor, axis=1)
    assert contains(drawn, block)


def test_frames_hide_nothing_but_a_marked_corner():
  tiles = RANDOM.integers(0, 256, (1, 2, 28, 28, 1), dtype=np.uint8)
  frames = {(0, 0): Frame("#0072B2", 1.6), (0, 1): Frame("#C2410C", 1.2, marked=True)}
  drawn = pixels(draw(tiles, frames=frames, style=model_styles(["a"])["a"])[2])
  blocks = [tile[:, :, 0].repeat(3, axis=0).repeat(3, axis=1) for tile in tiles[0]]
  assert contains(drawn, blocks[0])
  assert not contains(drawn, blocks[1])
  assert contains(drawn, blocks[1][mosaic.MARK + 2 :])
  for frame in frames.values():
    assert (drawn == rgb(frame.colour)).all(axis=-1).sum() > 100


def test_figures_of_the_same_grid_have_the_same_size():
  tiles = RANDOM.integers(0, 256, (2, 3, 8, 8, 1), dtype=np.uint8)
  assert draw(tiles)[0] == draw(255 - tiles)[0]


def test_long_names_are_shortened_and_stand_upright():
  tiles = np.zeros((1, 2, 8, 8, 1), np.uint8)
  size, *_ = mosaic.mosaic(tiles, ["x" * 40], ["y" * 40, "z"], title="t" * 50)
  assert size[0] < 8
  assert size[1] > draw(tiles)[0][1]
