"""What every page is made of: a template, its styles and its script, all inside one file."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from types import MappingProxyType
from typing import Any

import jinja2
from markupsafe import Markup


def fill_in(
  template: str,
  *,
  css: Sequence[str],
  script: str,
  filters: Mapping[str, Callable[..., str]] = MappingProxyType({}),
  **values: Any,
) -> str:
  """A template of this folder, filled in; every text is escaped, whatever it holds.

  Args:
    template: its file.
    css: the files of its styles, in order.
    script: the file of its script, the only one that the page lets run.
    filters: name in the template -> function.
    **values: what the template names besides.

  Returns:
    A whole HTML document.
  """
  environment = jinja2.Environment(
    loader=jinja2.FunctionLoader(_resource),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.filters.update(filters)
  code = _resource(script)
  return environment.get_template(template).render(
    # Ours, not the user's.
    css=Markup("".join(map(_resource, css))),
    script=Markup(code),
    script_digest=base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
    **values,
  )


def data_uri(content: bytes, kind: str = "png") -> str:
  """A picture as an address that holds all of it.

  >>> data_uri(b"<svg/>", "svg+xml")
  'data:image/svg+xml;base64,PHN2Zy8+'
  """
  return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _resource(name: str) -> str:
  return resources.files("robust_saliency.report").joinpath(name).read_text(encoding="utf-8")
