"""The check of the built site finds what is broken, and nothing else."""

from docs.building.links import broken_links


def site(folder, **pages):
  for name, html in pages.items():
    (folder / f"{name}.html").write_text(html)
  return broken_links(folder)


def test_a_link_to_a_page_and_to_a_place_in_it_is_sound(tmp_path):
  links = '<a href="b.html#there">b</a> <a href="#here">here</a> <p id="here">'
  assert site(tmp_path, a=links, b='<p id="there">') == []


def test_a_missing_page_a_missing_place_and_a_missing_picture_are_found(tmp_path):
  links = '<a href="c.html">c</a> <a href="b.html#gone">b</a> <img src="gone.png">'
  assert site(tmp_path, a=links, b="") == [
    "a.html: c.html is no file",
    "a.html: b.html#gone is no place in its page",
    "a.html: gone.png is no file",
  ]


def test_links_may_leave_the_site_and_what_a_page_loads_may_not(tmp_path):
  links = '<a href="https://example.org">e</a> <script src="https://example.org/a.js"></script>'
  assert site(tmp_path, a=links) == [
    "a.html: loads https://example.org/a.js, which is not of this site"
  ]
