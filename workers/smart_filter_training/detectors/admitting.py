"""An exported detector as the product runs it: let in to a weights folder of its own."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smart_filter_shared.cards import ENTRY
from smart_filter_shared.parameters import Parameters
from smart_filter_workers.networks.detectron2 import admission


@contextmanager
def admitted(
    arrays: Path, *, labels: tuple[str, ...], kind: str
) -> Iterator[tuple[Path, Parameters]]:
    """Give a weights folder with an exported network, and the parameters that ask for it.

    arrays: the exported `.npz`; its configuration lies beside it as `.yaml`.
    kind: the model that runs it.  Raises SetupFailed when it is not let in.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config = arrays.with_suffix(".yaml")
        address = admission.admit_config(config, folder, names=labels)
        admission.admit_weights(arrays, folder, config=address, names=labels, kind=kind)
        yield folder, {ENTRY: address}
