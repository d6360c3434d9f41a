"""What is let in for detectron2, and what is not: configurations, and weights."""

import importlib
import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_tests.pictures import noise, prepared
from smart_filter_tests.small_detectron2 import SMALL, Made, built, random_arrays, write
from smart_filter_workers import admitted
from smart_filter_workers.networks.detectron2 import admission, building, documents, shelf, zoo
from smart_filter_workers.networks.detectron2.checkpoints import Checkpoint
from smart_filter_workers.stages.segmentation.models import detectron2

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("detectron2") is None,
        reason="detectron2 is not installed: docs/detectron2.md says how",
    ),
    # torch's and detectron2's own, about each other.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
    pytest.mark.timeout(300),
]


def test_what_was_admitted_is_offered(made: Made) -> None:
    assert detectron2.entries(made.folder) == sorted(made.addresses.values())


@pytest.mark.parametrize("suffix", [".yaml", ".npz"])
def test_file_that_was_changed_after_its_admission_is_not_loaded(
    made: Made, tmp_path: Path, suffix: str
) -> None:
    (tmp_path / "detectron2").mkdir()
    for file in admitted.read(made.folder):
        content = (made.folder / file.name).read_bytes()
        changed = content + b"\n" if file.name.endswith(suffix) else content
        (tmp_path / file.name).write_bytes(changed)
        admitted.add(tmp_path, file)

    with pytest.raises(ModelNotLoaded, match="admit"):
        detectron2.load(tmp_path)


def test_folder_with_nothing_admitted_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match="admit it with"):
        detectron2.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("MODEL: !!python/object/apply:os.system ['touch run']\n", "tag"),
        ("_BASE_: ../../../etc/passwd\n", "no file of the zoo|outside"),
        ("_BASE_: Base-RetinaNet.yaml\n", "tag"),
        ("MODEL: {WEIGHTS: 'https://example.org/a.pkl'}\n", "admitted on their own"),
        ("MODEL: {DEVICE: cuda}\n", r"MODEL\.DEVICE"),
        ("_BASE_: Base-RCNN-FPN.yaml\nMODEL: {RESNETS: {DEPTH: 19}}\n", "makes no model"),
        (SMALL.format(base="Base-RCNN-FPN.yaml", masks="true"), "name them with --classes"),
    ],
)
def test_configuration_that_may_not_be_let_in_leaves_nothing_behind(
    tmp_path: Path, text: str, why: str
) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    (tmp_path / "mine.yaml").write_text(text)

    with pytest.raises(SetupFailed, match=why):
        admission.admit_config(tmp_path / "mine.yaml", folder)

    assert list(folder.iterdir()) == []


def test_weights_that_do_not_fit_are_not_let_in(made: Made, tmp_path: Path) -> None:
    weights = tmp_path / "mine.npz"
    arrays = random_arrays(made.addresses["instance"], made.folder)
    arrays.pop("roi_heads.mask_head.predictor.bias")
    write(weights, arrays)
    before = admitted.read(made.folder)

    with pytest.raises(SetupFailed, match=r"has none for roi_heads\.mask_head\.predictor\.bias"):
        admission.admit_weights(weights, made.folder, config=made.addresses["instance"])

    assert admitted.read(made.folder) == before


def test_other_weights_for_the_same_name_are_not_let_in(made: Made, tmp_path: Path) -> None:
    address = made.addresses["instance"]
    arrays = random_arrays(address, made.folder)
    np.savez(tmp_path / "mine.npz", **{name: -array for name, array in arrays.items()})  # type: ignore[arg-type]  # NumPy's own bool

    with pytest.raises(SetupFailed, match="results under one name must not change"):
        admission.admit_weights(tmp_path / "mine.npz", made.folder, config=address)


def test_weights_that_were_replaced_are_loaded_anew(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    address, photo = made.addresses["instance"], prepared(noise(120, 160))
    cut_out = detectron2.load(tmp_path)
    (before,) = cut_out([photo], parameters=made.parameters())
    (tmp_path / shelf.shelved(tmp_path)[address].weights.name).unlink()
    arrays = random_arrays(address, made.folder)
    arrays["roi_heads.mask_head.predictor.bias"] -= 1000
    np.savez(tmp_path / "mine.npz", **arrays)  # type: ignore[arg-type]  # NumPy's own bool

    admission.admit_weights(tmp_path / "mine.npz", tmp_path, config=address)

    (after,) = cut_out([photo], parameters=made.parameters())
    assert before.matte.any()
    assert not after.matte.any()


def test_names_of_another_program_are_matched_by_likeness(made: Made) -> None:
    arrays = random_arrays(made.addresses["instance"], made.folder)
    model = built(made.addresses["instance"], made.folder)
    shorter = {name.removeprefix("backbone.bottom_up."): array for name, array in arrays.items()}

    building.fill(model, Checkpoint(shorter, by_likeness=True, author="pycls"))

    state = model.model.state_dict()
    assert all(np.array_equal(state[name].numpy(), array) for name, array in arrays.items())


def test_every_name_on_the_list_is_a_configuration_of_the_zoo() -> None:
    configs = importlib.import_module("detectron2.config")

    for name in zoo.configs():
        config = configs.get_cfg()
        config.merge_from_other_cfg(configs.CfgNode(shelf.of_zoo(name)))
        architecture = config.MODEL.META_ARCHITECTURE
        made_by = {"PanopticFPN": zoo.Makes.PANOPTIC, "SemanticSegmentor": zoo.Makes.SEMANTIC}
        boxes_or_outlines = zoo.Makes.INSTANCE if config.MODEL.MASK_ON else zoo.Makes.BOXES
        assert zoo.find(name).makes is made_by.get(architecture, boxes_or_outlines), name


def test_zoos_file_that_runs_python_is_refused() -> None:
    with pytest.raises(SetupFailed, match="has the tag"):
        documents.of_zoo("COCO-Detection/retinanet_R_50_FPN_3x.yaml", shelf.packaged)
