"""Which commands there are, and what the help says of each; nothing of them is imported for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_PACKAGE = "smart_filter_deploy.cli"


@dataclass(frozen=True, slots=True)
class Listed:
    """A command: where it is, as `module:name`, and what it does in a few words."""

    place: str
    told: str


@dataclass(frozen=True, slots=True)
class Section:
    """Commands that belong together."""

    title: str
    commands: Mapping[str, Listed]


def _section(title: str, **told: str) -> Section:
    # A command is called as its module and its function, unless Python has the word already.
    named = {
        "eval": "eval:evaluate",
        "sender": "worker:sender",
        "live-worker": "worker:live_worker",
        "worker-health": "worker_health:worker_health",
        "prepare": "worker:prepare",
    }
    return Section(
        title,
        MappingProxyType(
            {
                name: Listed(f"{_PACKAGE}.{named.get(name, f'{name}:{name}')}", words)
                for name, words in told.items()
            }
        ),
    )


SECTIONS = (
    _section(
        "Pictures",
        run="Photos in, pictures out.",
        submit="Photos in, without waiting for the pictures.",
        batch="A whole folder through, taken up again where it was left.",
        live="Camera or video in, video out, the background replaced.",
        jobs="List, show, cancel and redrive what was submitted.",
        backgrounds="List backgrounds, keep pictures of your own.",
    ),
    _section(
        "Server",
        up="The whole service on this machine, until Ctrl-C.",
        worker="One process that serves stages of the pipeline.",
        sender="One process that tells webhooks.",
        **{
            "live-worker": "One process that serves live video.",
            "router": "One address before several installations.",
            "worker-health": "Whether workers and senders of this machine are well.",
        },
    ),
    _section(
        "Models",
        models="List and measure models, fetch and try their weights.",
        compare="One photo, cut out by several models, on one sheet.",
        eval="Measure models on photos with known answers.",
        train="Make a model's weights from pictures.",
        feedback="Data sets of what people corrected.",
    ),
    _section(
        "Operating",
        prepare="Bring database and bucket to this version; before its processes.",
        doctor="Check everything, and say what puts it right.",
        queues="Show, pause and resume what waits for each capability.",
        workers="Show, drain and resume worker processes.",
        audit="Look for work that was lost, doubled or orphaned.",
        keys="Issue, list and revoke keys.",
        tenants="Show and say what tenants may do.",
        completion="Teach your shell to complete these commands.",
    ),
)

# What other commands start, and images do.
HIDDEN = MappingProxyType({"api": f"{_PACKAGE}.worker:api"})

# Set by what a shell runs when the key is pressed, after the name of the program.
COMPLETE_VARIABLE = "_SMART_FILTER_COMPLETE"
