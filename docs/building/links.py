"""Whether every link of the built site leads somewhere: to a file, and to a place in it.

  python -m docs.building.links site

Links that leave the site are counted, not followed, since it is built without network; what a page
loads (pictures, styles, scripts) must not leave it.
"""

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
  """The links of a page, what it loads, and the places in it that a link may name."""

  def __init__(self, html: str):
    super().__init__()
    self.links: list[str] = []
    self.loaded: list[str] = []
    self.places: set[str] = set()
    self.feed(html)

  def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
    given = {name: value for name, value in attrs if value is not None}
    self.places |= {given[name] for name in ("id", "name") if name in given}
    if tag == "a" and "href" in given:
      self.links.append(given["href"])
    elif tag == "link" and "href" in given and given.get("rel") not in ("canonical",):
      self.loaded.append(given["href"])
    elif "src" in given:
      self.loaded.append(given["src"])


def broken_links(site: Path) -> list[str]:
  """A sentence for each link that leads nowhere and each thing that a page loads from elsewhere."""
  pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
  return [
    f"{path.relative_to(site)}: {sentence}"
    for path, page in pages.items()
    for sentence in _broken(path, page, pages)
  ]


def _broken(path: Path, page: _Page, pages: dict[Path, _Page]) -> Iterator[str]:
  for address in page.loaded:
    if urlsplit(address).scheme in ("http", "https") or address.startswith("//"):
      yield f"loads {address}, which is not of this site"
  for address in [*page.links, *page.loaded]:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
      continue
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
    if target.is_dir():
      target /= "index.html"
    if not target.exists():
      yield f"{address} is no file"
    elif parts.fragment and target in pages:
      if unquote(parts.fragment) not in pages[target].places:
        yield f"{address} is no place in its page"


def main(site: str) -> int:
  """Prints what is broken; the number of it is the exit status, 1 at most."""
  broken = broken_links(Path(site).resolve())
  for sentence in broken:
    print(sentence)
  print(f"{len(broken)} broken links" if broken else "All links lead somewhere.")
  return min(len(broken), 1)


if __name__ == "__main__":
  sys.exit(main(*sys.argv[1:]))
