"""Make stored print-quality results."""

from collections.abc import Mapping

PRINTABILITY: Mapping[str, object] = {
    "verdict": "poor",
    "reasons": ["The person blinks."],
    "size": {
        "verdict": "good",
        "text": "It prints up to 10×15 cm at 300 dpi, 15×20 cm at 200 dpi.",
        "width": 1800,
        "height": 1200,
        "prints": [
            {
                "dpi": dpi,
                "width_cm": width,
                "height_cm": width / 1.5,
                "width_in": 6.0,
                "height_in": 4.0,
                "paper": paper,
            }
            for dpi, width, paper in ((300, 15.2, "10×15"), (200, 22.9, "15×20"))
        ],
        "detail": 1.0,
    },
    "exposure": {
        "verdict": "good",
        "text": "The face is well lit.",
        "brightness": 0.5,
        "brightest": 0.7,
        "faces_dark": 0.0,
        "faces_bright": 0.0,
        "photo_dark": 0.1,
        "photo_bright": 0.1,
        "faces_clipped": 0.0,
    },
    "noise": {"verdict": "good", "text": "Hardly any noise shows.", "sigma": 0.5},
    "sharpness": {"verdict": "good", "text": "The face is sharp.", "blur_px": 1.1},
    "head_room": None,
    "looks": {
        "verdict": "poor",
        "text": "The person blinks.",
        "blinking": [1],
        "one_eye_closed": [],
        "turned_away": [],
    },
    "faces": [
        {
            "person": 1,
            "blur_px": 1.1,
            "brightness": 0.5,
            "noise": 0.5,
            "blinks": True,
            "one_eye_closed": False,
            "turned_away": False,
            "counts": True,
        }
    ],
}
