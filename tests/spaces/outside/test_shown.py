"""Text from outside never steers a terminal or a Markdown document."""

import unicodedata

import pytest
from atoll.spaces.outside.shown import markdown, markdown_code, shown, shown_lines
from markdown_it import MarkdownIt

RENDERER = MarkdownIt("commonmark", {"html": True}).enable("table")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("prune_channels(ratio=0.5) -> tensor_train(rank=4)", None),
        ("größer × 2 − 名前", None),
        ("x\x1b[31m\x1b]0;owned\x07", "x\\x1b[31m\\x1b]0;owned\\x07"),
        ("\x9b31m\x7f\r\b", "\\x9b31m\\x7f\\r\\x08"),
        ("a\u202eb\u2066c\u200fd\ufeff", "a\\u202eb\\u2066c\\u200fd\\ufeff"),
        ("two\nlines\u2028three", "two\\nlines\\u2028three"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
        (7, "7"),
    ],
)
def test_what_does_not_print_is_its_escape(text, wanted):
    assert shown(text) == (text if wanted is None else wanted)


def test_no_control_or_direction_character_of_unicode_is_left():
    everything = "".join(map(chr, range(0x110000)))
    left = shown_lines(everything).replace("\n", "")
    assert not [one for one in left if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


FOREIGN = (
    "a|b",
    "`rm -rf`",
    "[click](http://evil.example)",
    "![x](http://evil.example/p.png)",
    "<script>alert(1)</script>",
    "<http://evil.example>",
    "*bold* _leaning_ __both__ ~~gone~~",
    "# head",
    "- item",
    "&lt;b&gt;",
    "a\\|b\\",
    "x\n\n# new\n| a |\n| - |",
    'layers="features.*", name_of_it',
)


@pytest.mark.parametrize("text", FOREIGN)
def test_markdown_shows_a_text_as_it_is(text):
    html = RENDERER.render(f"| a | b |\n| - | - |\n| {markdown(text)} | end |")
    cells = [token for token in RENDERER.parse(f"| a | b |\n| - | - |\n| {markdown(text)} | end |")]
    inline = [token for token in cells if token.type == "inline"]
    assert len(inline) == 4  # two heads and two cells
    assert {child.type for child in inline[2].children} <= {"text", "text_special"}
    assert "".join(child.content for child in inline[2].children) == shown(text)
    assert "<script" not in html
    [paragraph] = [token for token in RENDERER.parse(markdown(text)) if token.type == "inline"]
    assert "".join(child.content for child in paragraph.children) == shown(text)


@pytest.mark.parametrize("text", FOREIGN)
def test_code_in_a_cell_stays_code_in_one_cell(text):
    tokens = RENDERER.parse(f"| a | b |\n| - | - |\n| {markdown_code(text)} | end |")
    inline = [token for token in tokens if token.type == "inline"]
    assert len(inline) == 4
    [code] = inline[2].children or []
    assert code.type == "code_inline"
    assert code.content == shown(text).replace("`", "\\x60").replace("|", "\\x7c")


def test_links_that_need_no_brackets_are_broken():
    assert markdown("http://evil.example www.evil.example me@evil.example") == (
        "http\\://evil.example www\\.evil.example me\\@evil.example"
    )


def test_a_recipe_stays_readable_in_markdown():
    recipe = "prune_channels(ratio=0.5) -> quantize(bits=8)"
    assert markdown(recipe) == recipe
    assert markdown_code(recipe) == f"`{recipe}`"
    assert markdown_code("") == ""
