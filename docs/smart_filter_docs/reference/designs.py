"""Make the page of generated backgrounds: every design with its picture and its words."""

from html import escape

from smart_filter_docs.markdown import sections
from smart_filter_docs.sources import DESIGNS
from smart_filter_shared.presets import PRESETS, Preset


def page() -> str:
    """Return the page; its pictures are the thumbnails that the API serves."""
    families = dict.fromkeys(preset.family for preset in PRESETS)
    return sections(
        "# Backgrounds",
        f"All {len(PRESETS)} designs, drawn at the size of each picture, and differently for each"
        " `seed`. `background=preset:NAME` selects one, `preset:NAME+OTHER` prints one on another,"
        " and `keywords:WORD,WORD` finds designs by their words, which appear when the pointer"
        " rests on a picture; `auto` chooses by the people. For your own pictures see"
        " docs/backgrounds.md.",
        *(
            part
            for family in families
            for part in (
                f"## {family[0].upper()}{family[1:]}",
                _grid([preset for preset in PRESETS if preset.family == family]),
            )
        ),
    )


def _grid(presets: list[Preset]) -> str:
    figures = "\n".join(
        f'<figure><img src="../{DESIGNS}/{preset.name}.webp" alt="{escape(preset.title)}"'
        f' title="{escape(", ".join(preset.tags))}" loading="lazy">'
        f"<figcaption>{escape(preset.title)}<br><code>{preset.name}</code></figcaption></figure>"
        for preset in presets
    )
    return f'<div class="designs">\n{figures}\n</div>'
