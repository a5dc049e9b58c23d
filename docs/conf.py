"""How `make docs` builds the site (Sphinx)."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import robust_saliency  # noqa: E402

project = "robust_saliency"
author = "the authors of robust_saliency"
project_copyright = "Apache-2.0"
release = version = robust_saliency.__version__

extensions = ["myst_parser", "sphinx_copybutton", "docs.building"]
html_theme = "furo"
html_title = "robust_saliency"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
# Every word of an example stands out from what lies behind it.
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
exclude_patterns = ["building"]

# Formulas become MathML, which browsers set by themselves: see docs/building/mathml.py.
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# One argument a line, where they do not fit into one.
python_maximum_signature_line_length = 80
# Quotes in docstrings are those of code.
smartquotes = False

nitpicky = True
