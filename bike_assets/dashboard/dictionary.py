"""The data dictionary as a page, so that a link to a table's columns works wherever the page does."""

from markdown_it import MarkdownIt

from bike_assets.model.dictionary import dictionary
from bike_assets.model.tables import TABLES

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Data dictionary</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/dictionary.css">
</head>
<body>
<nav><a href="/">Live bike stations</a></nav>
<main>
{body}</main>
</body>
</html>
"""


def dictionary_page() -> str:
    """The model's dictionary in HTML; `#warehouse.fact_station_hour` is the place of that table."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(dictionary(TABLES))
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", tokens[place + 1].content.lower().replace(" ", "-"))
    return _PAGE.format(body=markdown.renderer.render(tokens, markdown.options, {}))
