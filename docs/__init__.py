"""The documentation: pages in Markdown, and what makes the others (`building`)."""
