"""The page of generated backgrounds: every design as it looks, with its words."""

from html import escape

from smart_filter_docs.markdown import sections
from smart_filter_docs.sources import DESIGNS
from smart_filter_shared.presets import PRESETS, Preset


def page() -> str:
    """Return the page; pictures are the thumbnails that the API answers too."""
    families = dict.fromkeys(preset.family for preset in PRESETS)
    return sections(
        "# Backgrounds",
        f"All {len(PRESETS)} designs, each drawn for every picture at its size, and differently for"
        " each `seed`. `background=preset:NAME` asks for one, `preset:NAME+OTHER` prints one on"
        " another, `keywords:WORD,WORD` finds them by their words, which a pointer at rest over a"
        " picture shows; `auto` has the people choose. Pictures of your own: docs/backgrounds.md.",
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
