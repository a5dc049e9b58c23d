"""Somebody who answers a questionnaire in a browser: clicks, taps and presses keys."""

import itertools
import json
import time

from tests.report.browser import Tab

PATIENCE = 20  # seconds
DOUBLE = 0.4  # seconds within which two taps are one


class Person:
  """One participant at an open tab.

  Attributes:
    touches: whether they tap, as on a telephone, instead of clicking.
  """

  def __init__(self, tab: Tab, *, touches: bool = False):
    self.tab, self.touches = tab, touches

  def sees(self, selector: str) -> bool:
    """Whether an element is there and has a size."""
    found = f"document.querySelector({json.dumps(selector)})"
    return bool(self.tab.evaluate(f"Boolean({found} && {found}.getClientRects().length)"))

  def reads(self, selector: str) -> str:
    """An element's text."""
    return self.tab.evaluate(f"document.querySelector({json.dumps(selector)}).textContent.trim()")

  def points_at(self, selector: str, number: int = 0, *, clicks: int = 1) -> None:
    """Clicks in the middle of an element, or taps it, wherever it is on the page."""
    place = self.tab.evaluate(
      f"""(() => {{
        const found = document.querySelectorAll({json.dumps(selector)})[{number}];
        found.scrollIntoView({{block: "center", behavior: "instant"}});
        const box = found.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2];
      }})()"""
    )
    at = dict(zip("xy", place, strict=True))
    if self.touches:
      time.sleep(DOUBLE)  # a second tap at once would be one half of a double one
      self.tab.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[at])
      self.tab.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    else:
      for click, kind in itertools.product(range(clicks), ("mousePressed", "mouseReleased")):
        count = click + 1
        self.tab.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=count, **at)

  def presses(self, key: str) -> None:
    """Presses a key and lets it go."""
    for kind in ("keyDown", "keyUp"):
      self.tab.send("Input.dispatchKeyEvent", type=kind, key=key)

  def waits_for(self, selector: str) -> None:
    """Waits until an element is seen."""
    until = time.monotonic() + PATIENCE
    while not self.sees(selector):
      assert time.monotonic() < until, f"{selector} has not appeared"

  def saves_in(self, folder) -> dict:
    """Saves the answers, and reads the file back."""
    self.tab.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    self.points_at("#save")
    until = time.monotonic() + PATIENCE
    while not (found := [*folder.glob("votes-*.json")]):
      assert time.monotonic() < until, "no file was saved"
      time.sleep(0.05)
    return json.loads(found[0].read_text())
