"""A headless Chromium, driven by its own protocol over a pipe."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


# The protocol's pipes are the files 3 and 4.
_AS_THREE_AND_FOUR = """
import os, sys
copies = [os.dup(int(number)) for number in sys.argv[1:3]]
for number, copy in zip((3, 4), copies):
  os.dup2(copy, number)
  os.set_inheritable(number, True)
os.execvp(sys.argv[3], sys.argv[3:])
"""


class Tab:
  """One open page."""

  def __init__(self, to_browser: int, from_browser: int):
    self._to, self._from = os.fdopen(to_browser, "wb", 0), os.fdopen(from_browser, "rb", 0)
    self._number, self._session, self._buffer = 0, None, b""
    target = self.send("Target.createTarget", url="about:blank")["targetId"]
    self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    self.send("Page.enable")

  def send(self, method: str, **parameters: Any) -> dict[str, Any]:
    """Sends a command of the protocol, and waits for its answer."""
    self._number += 1
    message = {"id": self._number, "method": method, "params": parameters}
    if self._session:
      message["sessionId"] = self._session
    self._to.write(json.dumps(message).encode() + b"\0")
    while (answer := self._read()).get("id") != self._number:
      pass
    assert "error" not in answer, answer
    return answer["result"]

  def open(
    self, page: Path | str, *, width: int = 1280, dark: bool = False, script: bool = True
  ) -> None:
    """Opens a file, or an address, and waits until it is loaded."""
    self.send(
      "Emulation.setDeviceMetricsOverride",
      width=width,
      height=900,
      deviceScaleFactor=1,
      mobile=width < 600,
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    self.send("Emulation.setEmulatedMedia", features=[scheme])
    self.send("Emulation.setScriptExecutionDisabled", value=not script)
    address = page if isinstance(page, str) else page.absolute().as_uri()
    self.send("Page.navigate", url=address)
    self._wait_for_load()

  def reload(self) -> None:
    """Loads the page again."""
    self.send("Page.reload")
    self._wait_for_load()

  def evaluate(self, expression: str) -> Any:
    """The value of a JavaScript expression."""
    result = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
    assert "exceptionDetails" not in result, result
    return result["result"].get("value")

  def _wait_for_load(self) -> None:
    while self._read().get("method") != "Page.loadEventFired":
      pass

  def _read(self) -> dict[str, Any]:
    while b"\0" not in self._buffer:
      received = self._from.read(1 << 16)
      assert received, "the browser has ended"
      self._buffer += received
    message, self._buffer = self._buffer.split(b"\0", 1)
    return json.loads(message)


@contextlib.contextmanager
def chromium() -> Iterator[Tab]:
  """Starts a browser with an empty profile, and ends it."""
  assert CHROMIUM is not None
  there, to_browser = os.pipe()
  from_browser, back = os.pipe()

  with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
    process = subprocess.Popen(
      [
        *(sys.executable, "-c", _AS_THREE_AND_FOUR, str(there), str(back)),
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *("--remote-debugging-pipe", f"--user-data-dir={profile}"),
      ],
      pass_fds=(there, back),
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
    )
    os.close(there)
    os.close(back)
    try:
      yield Tab(to_browser, from_browser)
    finally:
      process.kill()
      process.wait()
