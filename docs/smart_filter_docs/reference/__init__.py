"""Pages that are made from the code, so that they say what it does.

rest      operations and objects of the API, from docs/openapi.json
schemas   how JSON Schema is told in words
commands  the command line, from click's tree
client    the Python client, from its docstrings
designs   the generated backgrounds, as they look
models    the models' cards
recipe    fields of a recipe, from docs/openapi.json
metrics   what /metrics shows
"""

from collections.abc import Mapping

from smart_filter_docs.reference import client, commands, designs, metrics, models, recipe, rest


def pages() -> Mapping[str, str]:
    """Return every such page by its path below docs/."""
    found = {
        "backgrounds.md": designs.page(),
        "client.md": client.page(),
        "commands.md": commands.page(),
        "metrics.md": metrics.page(),
        "models.md": models.page(),
        "recipe.md": recipe.page(),
        **rest.pages(),
    }
    return {f"reference/{name}": text for name, text in found.items()}
