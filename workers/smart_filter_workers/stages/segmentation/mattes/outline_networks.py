"""The networks that look at the part of a photo that shows people, and correct their matte."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.recipe import Edge
from smart_filter_workers.networks.coverage import modnet, u2netp
from smart_filter_workers.networks.coverage.coverage_network import CoverageNetwork
from smart_filter_workers.networks.coverage.refiner import MatteRefiner
from smart_filter_workers.results import HALF_LEVEL, Floats, Matte8, PreparedPhoto
from smart_filter_workers.stages.segmentation.mattes import attached_things, consensus, soft_outline
from smart_filter_workers.stages.segmentation.models.base import Look, People
from smart_filter_workers.stages.segmentation.people import separation
from smart_filter_workers.stages.segmentation.regions import find_people

# MODNet's input has about as many pixels as a square of this side. Its authors use 512, which takes
# 1.8 times as long: on 61 training photos the mean IoU is the same within 0.0003.
PORTRAIT_SIDE_PX: Final = 384
# Of 48 parts that MODNet shows next to people, 21 belong to them, judged by eye. At 192² the glance
# confirms 10 of these and 5 others, at 256² 13 and 1, at 320² 15 and 4.
GLANCE_SIDE_PX: Final = 256
# `balanced` asks the network that sees whatever stands out about mattes of less confidence: a third
# of 61 training photos, whose mean IoU is 0.88 instead of 0.97. It takes twice the time of the
# others.
DOUBTED_BELOW: Final = 0.95


@dataclass(frozen=True, slots=True)
class OutlineNetworks:
    """Corrects the outlines of people; any thread may call it.

    find_salient: returns the network that sees whatever stands out; None where its weights are not.
    glance: sees whatever stands out, coarsely; asked about things next to people.
    """

    refine: MatteRefiner
    portrait: CoverageNetwork
    find_salient: Callable[[], Look | None]
    glance: Look

    def correct(
        self, people: People, prepared: PreparedPhoto, edge: Edge, salient: Look | None
    ) -> People:
        """Return the people with the matte on which all networks agree.

        edge: `fast` asks no network, `best` all; the others ask the one that sees whatever stands
        out only in doubt.  salient: the network to ask in its place, always.
        """
        region = find_people(people.matte)
        if region is None or edge == Edge.FAST:
            return people
        cut, matte = np.ascontiguousarray(prepared.proxy_srgb[region]), people.matte[region]
        portrait = _to_levels(*self.portrait.segment_batch([cut], side_px=PORTRAIT_SIDE_PX))
        refined, others = self.refine(cut, matte), [portrait]
        if salient is None and (edge == Edge.BEST or (people.confidence or 0) < DOUBTED_BELOW):
            salient = self.find_salient()
        stands_out = None
        if salient is not None:
            stands_out = _to_levels(salient(cut))
            others.append(stands_out)
        owners = separation.find_owners(
            [person > HALF_LEVEL for person in people.persons or (people.matte,)]
        )
        places = [owners[region] == number for number in range(1, owners.max() + 1)]
        joined = consensus.correct_matte(matte, refined, others, places)
        spread = consensus.measure_spread(
            joined, refined, portrait, longest_side_px=max(people.matte.shape)
        )
        heard = consensus.keep_trusted(joined, portrait, places)
        joined = soft_outline.soften_outline(joined, heard, cut)
        evidence = (people.matte if people.evidence is None else people.evidence).copy()
        evidence[region] = np.maximum.reduce([evidence[region], refined, *others])
        corrected, attached = people.matte.copy(), np.zeros_like(people.matte)
        if candidates := attached_things.find_candidates(joined, portrait):
            if stands_out is None:
                stands_out = _to_levels(self.glance(cut))
            # Its errors are other ones than those of the first look.
            mirrored = self.refine(cut[:, ::-1], matte[:, ::-1])[:, ::-1]
            attached[region] = attached_things.confirm_things(
                candidates, joined, portrait, stands_out, mirrored
            )
        corrected[region] = joined
        corrected += attached
        persons = people.persons and separation.share_matte(corrected, owners)
        return replace(
            people,
            matte=corrected,
            persons=persons,
            attached=attached,
            evidence=evidence,
            outline_spread=spread,
            unclaimed_share=soft_outline.measure_unclaimed(corrected[region], portrait),
        )


def load(weights: Path, find_salient: Callable[[], Look | None]) -> OutlineNetworks:
    """Load the networks that every server has from the weights folder.

    find_salient: as for OutlineNetworks.  Raises SetupFailed when a file is missing or does not
    load.
    """
    # ONNX Runtime opens a network without the GIL; this one takes as long as the other two.
    refine = ThreadPoolExecutor(1).submit(MatteRefiner, weights)
    glance = u2netp.load(weights, side_px=GLANCE_SIDE_PX)
    portrait = modnet.load(weights)
    return OutlineNetworks(refine.result(), portrait, find_salient, glance)


def _to_levels(coverage: Floats) -> Matte8:
    """Return coverage, 0..1, as levels."""
    return np.rint(coverage * 255).astype(np.uint8)
