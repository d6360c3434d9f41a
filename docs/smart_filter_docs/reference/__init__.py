"""Make pages from the code, so they always agree with it.

rest      operations and objects of the API, from docs/openapi.json
schemas   JSON Schema in words
commands  the command line, from click's tree
client    the Python client, from its docstrings
designs   the generated backgrounds, with pictures
models    the models' cards
recipe    fields of a recipe, from docs/openapi.json
metrics   the metrics of /metrics
"""

from collections.abc import Mapping

from smart_filter_docs.reference import client, commands, designs, metrics, models, recipe, rest


def pages() -> Mapping[str, str]:
    """Return every generated page by its path below docs/."""
    texts = {
        "backgrounds.md": designs.page(),
        "client.md": client.page(),
        "commands.md": commands.page(),
        "metrics.md": metrics.page(),
        "models.md": models.page(),
        "recipe.md": recipe.page(),
        **rest.pages(),
    }
    return {f"reference/{name}": text for name, text in texts.items()}
