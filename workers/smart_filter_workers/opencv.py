"""OpenCV; every module takes `cv2` from here.

OpenCV's own package adds to LD_LIBRARY_PATH a folder that does not exist and, behind its last
colon, an empty element: children of this process would load libraries from the working folder.
"""

import os

_given = os.environ.get("LD_LIBRARY_PATH")

import cv2  # noqa: E402, TID251 - the environment is read before, and this is the one place

if _given is None:
    os.environ.pop("LD_LIBRARY_PATH", None)
else:
    os.environ["LD_LIBRARY_PATH"] = _given

__all__ = ["cv2"]
