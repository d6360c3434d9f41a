"""Cuts out a photo with requests, as remove.bg's documentation shows."""

import os
from pathlib import Path

import requests


def cut_out(path: str) -> bytes:
    with Path(path).open("rb") as photo:
        answer = requests.post(
            "https://api.remove.bg/v1.0/removebg",
            files={"image_file": photo},
            data={"size": "auto"},
            headers={"X-Api-Key": os.environ["REMOVE_BG_API_KEY"]},
            timeout=60,
        )
    answer.raise_for_status()
    return answer.content
