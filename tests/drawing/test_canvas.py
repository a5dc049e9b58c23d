import io
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from robust_saliency.drawing import canvas
from robust_saliency.drawing.palette import COLOURS, model_styles


def draw_curves(names):
  styles = model_styles(names)
  return canvas.curve_figure(styles, lambda axes: axes.plot([0, 1], [0, 1]))


def test_a_figure_does_not_depend_on_the_users_settings_and_leaves_them_alone():
  _, svg, png = draw_curves(["standard"])
  with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": None}):
    assert draw_curves(["standard"])[1:] == (svg, png)
    assert mpl.rcParams["font.size"] == 30


def test_a_figure_holds_no_date_and_no_program():
  _, svg, png = draw_curves(["standard"])
  assert b"<dc:date>" not in svg
  assert Image.open(io.BytesIO(png)).info.keys() <= {"dpi"}


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("name", ["_hidden", "$\\frac$", "--><script>", "a" * 90, "x & y < z"])
def test_any_name_stands_in_the_legend_as_it_is(name):
  _, svg, _ = draw_curves([name])
  ElementTree.fromstring(svg)
  shown = svg.count(b"<!-- ")
  assert shown == draw_curves(["standard"])[1].count(b"<!-- ") + (len(name) > 46)


@pytest.mark.parametrize(("length", "names"), [(4, 4), (7, 4), (10, 6), (19, 4), (46, 2)])
def test_the_legend_stays_within_the_figure(length, names):
  png = draw_curves([f"{i}{'undefended'[1:] * 6}"[:length] for i in range(names)])[2]
  image = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
  assert image[len(image) * 2 // 3 :].min() < 128
  assert image[len(image) * 2 // 3 :, -4:].min() == 255


def test_many_networks_make_the_figure_higher_not_the_axes_smaller():
  few, many = (draw_curves([f"network number {i:010}" for i in range(n)])[0] for n in (2, 9))
  assert many[0] == few[0]
  assert many[1] > few[1] + 0.9


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("few_colours", [canvas.indexed, canvas.webp])
@pytest.mark.parametrize("side", [400, 2400])
def test_a_picture_of_few_colours_keeps_those_of_the_networks(few_colours, side):
  ramp = np.linspace(0, 255, side).astype(np.uint8)
  pixels = np.zeros((side, side, 3), np.uint8)
  pixels[..., 0], pixels[..., 2] = ramp[:, None], ramp[None]
  places = [slice(8 + 40 * i, 24 + 40 * i) for i in range(len(COLOURS))]
  for place, colour in zip(places, COLOURS, strict=True):
    pixels[8:24, place] = list(bytes.fromhex(colour[1:]))
  png = io.BytesIO()
  Image.fromarray(pixels).save(png, "png")
  with Image.open(io.BytesIO(few_colours(png.getvalue()))) as image:
    few, smaller = image.convert("RGB"), side // image.width
  assert smaller == (2 if side > 2000 else 1)
  for place, colour in zip(places, COLOURS, strict=True):
    middle = (place.start + 8) // smaller
    assert few.getpixel((middle, 16 // smaller)) == tuple(bytes.fromhex(colour[1:]))


def test_the_paper_of_a_picture_of_few_colours_stays_white_under_pale_bands():
  pixels = np.full((200, 200, 3), 255, np.uint8)
  pixels[:100] = [250, 248, 251]
  pixels[:50] = np.linspace(0, 255, 200).astype(np.uint8)[:, None]
  png = io.BytesIO()
  Image.fromarray(pixels).save(png, "png")
  with Image.open(io.BytesIO(canvas.webp(png.getvalue()))) as image:
    assert image.convert("RGB").getpixel((100, 150)) == (255, 255, 255)
