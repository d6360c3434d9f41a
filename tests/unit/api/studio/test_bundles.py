"""The studio's bundles: each module once, after what it imports, with its exports."""

from smart_filter_api.studio import bundles
from smart_filter_api.studio.route import load_files

_BARE = {"preact": "/studio/vendor/preact.js"}
_SOURCES = {
    "main.js": b"""/** Starts. */

import "./state/effects.js";
import { one, two as second } from "./state/numbers.js";
import * as all from "./state/numbers.js";
import { h } from "preact";

const Later = () => import("./screens/later.js");
h(one, second, all, Later);
""",
    "state/numbers.js": b"export const one = 1;\n\nexport function two() {\n  return 2;\n}\n",
    "state/effects.js": b'import { one } from "./numbers.js";\n\nnote(one);\n',
    "screens/later.js": b'import { one } from "../state/numbers.js";\n\nexport class Later {}\n',
    "vendor/preact.js": b"export const h = 1;\n",
}


def test_bundle_has_each_module_after_what_it_imports() -> None:
    bundle = bundles.join_scripts("main.js", _SOURCES, _BARE)["main.js"].decode()

    places = [bundle.index(f"const module{number} = ") for number in range(3)]
    assert places == sorted(places)
    assert "const { one, two: second } = module0;" in bundle
    assert "const all = module0;" in bundle
    assert 'import * as library0 from "preact";' in bundle
    assert "const { h } = library0;" in bundle
    assert 'import("/studio/screens/later.js")' in bundle
    assert '"state/numbers.js": module0' in bundle


def test_module_that_is_imported_later_uses_the_first_bundle() -> None:
    joined = bundles.join_scripts("main.js", _SOURCES, _BARE)

    later = joined["later.js"].decode()
    assert 'import { modules as first } from "/studio/main.js";' in later
    assert 'const { one } = first["state/numbers.js"];' in later
    assert joined["screens/later.js"].decode().splitlines() == [
        'import { modules } from "/studio/later.js";',
        'export const { Later } = modules["screens/later.js"];',
    ]
    assert "vendor/preact.js" not in joined


def test_page_loads_few_files() -> None:
    files = load_files()

    for page in (files.studio, files.admin):
        assert page.content.count(b'rel="stylesheet"') == 1
        assert page.content.count(b"modulepreload") <= 6
    assert len(files.by_path["main.js"].gzipped or b"") < 100_000
