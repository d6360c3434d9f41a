"""Cuts out a photo with the client of PyPI."""

import os

from removebg import RemoveBg


def cut_out(path: str) -> None:
    client = RemoveBg(os.environ["CUTOUT_KEY"], "errors.log")
    client.remove_background_from_img_file(path, size="full")
