"""detectron2's models on small networks with random weights, and their admission."""

import importlib
import importlib.util
import io
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.small_detectron2 import (
    BASES,
    SMALL,
    AdmittedModels,
    build_predictor,
    random_arrays,
)
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.errors import ModelNotLoaded, ParameterRefused, SetupFailed
from smart_filter_tests.pictures import noise, prepared_photo
from smart_filter_tests.threads import run_in_threads
from smart_filter_workers.networks.detectron2 import configs, predictor, predictor_cache
from smart_filter_workers.networks.detectron2.checkpoints import Checkpoint
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.face.models import detectron2_faces
from smart_filter_workers.stages.segmentation.models import detectron2
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.weights import allowlist

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("detectron2") is None,
        reason="detectron2 is not installed: deploy/detectron2.sh does it",
    ),
    # Warnings of torch and detectron2 about each other.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def cut_out(admitted: AdmittedModels) -> detectron2.Detectron2:
    return detectron2.load(admitted.folder)


def test_instances_are_separated(admitted: AdmittedModels, cut_out: detectron2.Detectron2) -> None:
    photo = prepared_photo(noise(120, 160))

    (people,) = cut_out([photo], parameters=admitted.parameters())

    assert people.persons
    assert people.matte.shape == (120, 160)
    assert people.matte.dtype == np.uint8
    assert np.array_equal(sum(person.astype(np.int64) for person in people.persons), people.matte)


def test_options_hold_for_one_call(
    admitted: AdmittedModels, cut_out: detectron2.Detectron2
) -> None:
    photo = prepared_photo(noise(120, 160))

    def cut(**options: float) -> People:
        (people,) = cut_out([photo], parameters=admitted.parameters(**options))
        return people

    before = cut()
    first_only = cut(most=1)
    none = [cut(threshold=1.0), cut(least_share=1.0)]
    cut(threshold=0.9, most=1, overlap=0.1, short_side=64)

    assert first_only.persons is not None
    assert len(first_only.persons) == 1
    assert [(people.persons, people.matte.any()) for people in none] == [((), False)] * 2
    assert np.array_equal(before.matte, cut().matte)


def test_panoptic_model_answers_persons_and_areas_and_a_semantic_one_every_pixel(
    admitted: AdmittedModels, cut_out: detectron2.Detectron2
) -> None:
    photo = prepared_photo(noise(120, 160))

    (persons,) = cut_out([photo], parameters=admitted.parameters("panoptic"))
    (areas,) = cut_out([photo], parameters=admitted.parameters("panoptic", classes="sky,sea"))
    (all_,) = cut_out([photo], parameters=admitted.parameters("semantic", classes="things,sky,sea"))

    assert persons.persons
    assert (areas.persons, all_.persons) == (None, None)
    assert (all_.matte == 255).all()


@pytest.mark.parametrize("kind", list(BASES))
def test_batch_gives_what_one_by_one_gives(
    admitted: AdmittedModels, cut_out: detectron2.Detectron2, kind: str
) -> None:
    batch = [
        prepared_photo(noise(*size)) for size in ((120, 160), (160, 120), (118, 158), (90, 90))
    ]
    given = _any_class(admitted, kind)

    together = cut_out(batch, parameters=given)

    for people, photo in zip(together, batch, strict=True):
        (alone,) = cut_out([photo], parameters=given)
        assert np.array_equal(people.matte, alone.matte)


def test_four_threads_with_other_options_give_the_same(
    admitted: AdmittedModels, cut_out: detectron2.Detectron2
) -> None:
    photo = prepared_photo(noise(120, 160))
    all_given = [admitted.parameters(threshold=threshold) for threshold in (0.3, 0.6)]
    expected = [_matte(cut_out, photo, given) for given in all_given]

    answers = run_in_threads(4, lambda: [_matte(cut_out, photo, given) for given in all_given])

    assert all(
        np.array_equal(matte, right)
        for mattes in answers
        for matte, right in zip(mattes, expected, strict=True)
    )


def test_unknown_class_and_missing_weights_are_refused_and_an_empty_batch_is_empty(
    admitted: AdmittedModels, cut_out: detectron2.Detectron2
) -> None:
    default = detectron2.CARD.completed({"entry": detectron2.DEFAULT})

    with pytest.raises(ModelNotLoaded, match="no weights for COCO"):
        cut_out([prepared_photo(noise(9, 9))], parameters=default)
    with pytest.raises(ParameterRefused, match="has no class unicorn"):
        cut_out([prepared_photo(noise(9, 9))], parameters=admitted.parameters(classes="unicorn"))
    assert cut_out([], parameters=admitted.parameters()) == []


def test_faces_have_boxes_in_the_picture_and_landmarks_in_the_boxes(
    tmp_path: Path,
) -> None:
    config = tmp_path / "faces.yaml"
    config.write_text(SMALL.format(base="Base-RCNN-FPN.yaml", masks="false"))
    address = predictor_cache.admit_config(config, tmp_path, names=("face", "mask")).address
    stream = io.BytesIO()
    pickle.dump({"model": random_arrays(address, tmp_path)}, stream, protocol=2)
    (tmp_path / "faces.pkl").write_bytes(stream.getvalue())
    predictor_cache.admit_weights(
        tmp_path / "faces.pkl", tmp_path, config=address, kind=predictor_cache.FACES_KIND
    )
    given = detectron2_faces.CARD.completed({"entry": address, "threshold": 0.3})

    detect = detectron2_faces.load(tmp_path)
    detected = detect([noise(120, 160), noise(64, 64)], parameters=given)

    assert [len(faces) > 0 for faces in detected] == [True, True]
    for face in detected[0]:
        left, top, width, height = face.box
        assert 0 <= left <= left + width <= 160.01
        assert 0 <= top <= top + height <= 120.01
        assert all(left <= x <= left + width for x, _ in face.landmarks)
    assert detectron2.entries(tmp_path) == []


def _any_class(admitted: AdmittedModels, kind: str) -> Parameters:
    return admitted.parameters(kind, classes="things" if kind == "semantic" else "person")


def _matte(
    cut_out: detectron2.Detectron2, photo: PreparedPhoto, given: Parameters
) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    people: People = cut_out([photo], parameters=given)[0]
    return people.matte


@pytest.mark.parametrize("suffix", [".yaml", ".npz"])
def test_file_modified_after_its_admission_is_not_loaded(
    admitted: AdmittedModels, tmp_path: Path, suffix: str
) -> None:
    (tmp_path / "detectron2").mkdir()
    for file in allowlist.read_allowlist(admitted.folder):
        content = (admitted.folder / file.name).read_bytes()
        changed = content + b"\n" if file.name.endswith(suffix) else content
        (tmp_path / file.name).write_bytes(changed)
        allowlist.add(tmp_path, file)

    with pytest.raises(ModelNotLoaded, match="admit"):
        detectron2.load(tmp_path)


def test_empty_folder_names_the_command_to_run(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match="admit it with"):
        detectron2.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("MODEL: !!python/object/apply:os.system ['touch run']\n", "tag"),
        ("_BASE_: ../../../etc/passwd\n", "not a zoo file|outside"),
        ("_BASE_: Base-RetinaNet.yaml\n", "tag"),
        ("MODEL: {WEIGHTS: 'https://example.org/a.pkl'}\n", "admitted on their own"),
        ("MODEL: {DEVICE: cuda}\n", r"MODEL\.DEVICE"),
        (
            "_BASE_: Base-RCNN-FPN.yaml\nMODEL: {RESNETS: {DEPTH: 19}}\n",
            "cannot build the configuration",
        ),
        (SMALL.format(base="Base-RCNN-FPN.yaml", masks="true"), "name them with --classes"),
    ],
)
def test_refused_configuration_leaves_nothing(tmp_path: Path, text: str, why: str) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    (tmp_path / "mine.yaml").write_text(text)

    with pytest.raises(SetupFailed, match=why):
        predictor_cache.admit_config(tmp_path / "mine.yaml", folder)

    assert list(folder.iterdir()) == []


def test_other_weights_for_the_same_name_are_refused(
    admitted: AdmittedModels, tmp_path: Path
) -> None:
    address = admitted.addresses["instance"]
    arrays = random_arrays(address, admitted.folder)
    np.savez(tmp_path / "mine.npz", **{name: -array for name, array in arrays.items()})  # type: ignore[arg-type]  # NumPy's own bool

    with pytest.raises(SetupFailed, match="results under one name must not change"):
        predictor_cache.admit_weights(tmp_path / "mine.npz", admitted.folder, config=address)


def test_replaced_weights_are_loaded_again(admitted: AdmittedModels, tmp_path: Path) -> None:
    shutil.copytree(admitted.folder, tmp_path, dirs_exist_ok=True)
    address, photo = admitted.addresses["instance"], prepared_photo(noise(120, 160))
    cut_out = detectron2.load(tmp_path)
    (before,) = cut_out([photo], parameters=admitted.parameters())
    (tmp_path / predictor_cache.list_models(tmp_path)[address].weights.name).unlink()
    arrays = random_arrays(address, admitted.folder)
    arrays["roi_heads.mask_head.predictor.bias"] -= 1000
    np.savez(tmp_path / "mine.npz", **arrays)  # type: ignore[arg-type]  # NumPy's own bool

    predictor_cache.admit_weights(tmp_path / "mine.npz", tmp_path, config=address)

    (after,) = cut_out([photo], parameters=admitted.parameters())
    assert before.matte.any()
    assert not after.matte.any()


def test_weight_names_of_other_programs_are_matched_by_similarity(admitted: AdmittedModels) -> None:
    arrays = random_arrays(admitted.addresses["instance"], admitted.folder)
    model = build_predictor(admitted.addresses["instance"], admitted.folder)
    shorter = {name.removeprefix("backbone.bottom_up."): array for name, array in arrays.items()}

    predictor.load_weights(model, Checkpoint(shorter, by_likeness=True, author="pycls"))

    state = model.model.state_dict()
    assert all(np.array_equal(state[name].numpy(), array) for name, array in arrays.items())


def test_every_listed_name_is_a_configuration_of_the_zoo() -> None:
    configs = importlib.import_module("detectron2.config")

    for name in predictor_cache.list_configs():
        config = configs.get_cfg()
        config.merge_from_other_cfg(configs.CfgNode(predictor_cache.load_zoo_config(name)))
        architecture = config.MODEL.META_ARCHITECTURE
        made_by = {
            "PanopticFPN": predictor_cache.OutputKind.PANOPTIC,
            "SemanticSegmentor": predictor_cache.OutputKind.SEMANTIC,
        }
        boxes_or_outlines = (
            predictor_cache.OutputKind.INSTANCE
            if config.MODEL.MASK_ON
            else predictor_cache.OutputKind.BOXES
        )
        assert predictor_cache.find(name).makes is made_by.get(architecture, boxes_or_outlines), (
            name
        )


def test_zoos_file_that_runs_python_is_refused() -> None:
    with pytest.raises(SetupFailed, match="has the tag"):
        configs.load_zoo_document(
            "COCO-Detection/retinanet_R_50_FPN_3x.yaml", predictor_cache.read_packaged_config
        )
