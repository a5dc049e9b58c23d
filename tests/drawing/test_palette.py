import itertools

import numpy as np
import pytest

from robust_saliency.drawing.palette import COLOURS, model_styles

# Machado, Oliveira & Fernandes 2009, "A physiologically-based model for simulation of color vision
# deficiency", severity 1, on linear RGB.
VISIONS = {
  "usual": np.eye(3),
  "no red cones": [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  "no green cones": [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
  ],
  "no blue cones": [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.303900],
  ],
}
FAMILIES = {
  "GR": {"GR 10": 10.0, "GR 1": 1.0, "GR 100": 100.0, "GR 1000": 1000.0},
  "IR": {"IR 1": 1.0, "IR 2": 2.0},
}
CHOSEN = {"GR": "GR 10", "IR": "IR 2"}


def cielab(colour, vision):
  srgb = np.array(list(bytes.fromhex(colour[1:]))) / 255
  linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
  seen = np.clip(np.array(vision) @ linear, 0, 1)
  to_xyz = [[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]]
  xyz = to_xyz @ seen / np.sum(to_xyz, axis=1)
  x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
  return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISIONS)
def test_every_two_colours_differ_for_people_of_any_colour_vision(vision):
  places = [cielab(colour, VISIONS[vision]) for colour in COLOURS]
  distances = [np.linalg.norm(a - b) for a, b in itertools.combinations(places, 2)]
  assert min(distances) > 15


def test_families_and_models_have_colours_of_their_own_and_candidates_take_none():
  styles = model_styles(
    ["GR 1", "plain", "GR 100", "GR", "IR", "GR 1000", "last"], FAMILIES, CHOSEN
  )
  names = ("plain", "GR", "IR", "last")
  assert [styles[name].colour for name in names] == list(COLOURS[:4])


def test_the_chosen_candidate_is_drawn_like_its_family():
  styles = model_styles(["plain", "IR 2", "GR"], FAMILIES, CHOSEN)
  assert styles["GR 10"] == styles["GR"]
  assert styles["IR 2"] == styles["IR"]


def test_other_candidates_have_paler_and_darker_shades_of_their_family_in_the_order_of_numbers():
  styles = model_styles([], FAMILIES, CHOSEN)
  lightness = [
    cielab(styles[name].colour, VISIONS["usual"])[0] for name in ("GR 1", "GR", "GR 100", "GR 1000")
  ]
  assert np.all(np.diff(lightness) < -5)


def test_nothing_but_the_chosen_and_its_family_look_alike():
  styles = model_styles(["a", "b", "c", "d", "e", "f", "g", "h", "i"], FAMILIES, CHOSEN)
  looks = {(s.colour, s.marker, s.dash) for s in styles.values()}
  assert len(styles) == 9 + 2 + 6
  assert len(looks) == len(styles) - len(CHOSEN)
  of_family = [styles[name] for name in FAMILIES["GR"]]
  assert len({s.dash for s in of_family}) == len({s.marker for s in of_family}) == 4


def test_a_family_of_one_candidate_has_one_style():
  styles = model_styles(["a"], {"GR": {"GR 0": 0.0}}, {"GR": "GR 0"})
  assert styles["GR 0"] == styles["GR"]


def test_a_model_has_one_style_however_often_it_appears():
  styles = model_styles(["a", "b", "a", "c"])
  assert list(styles) == ["a", "b", "c"]


def test_forty_models_all_differ():
  styles = model_styles(map(str, range(40)))
  assert len({(s.colour, s.marker, s.dash) for s in styles.values()}) == 40


def test_eight_models_have_eight_colours_and_eight_markers():
  styles = model_styles(map(str, range(8))).values()
  assert len({s.colour for s in styles}) == len({s.marker for s in styles}) == 8
