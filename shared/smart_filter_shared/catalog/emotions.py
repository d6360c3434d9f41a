"""The emotions that models rate in a face, in the order of every list and network output."""

from typing import Final

# Source: Barsoum et al. 2016, "Training deep networks for facial expression recognition with
# crowd-sourced label distribution" (FERPlus): Ekman's six, neutral and contempt.
EMOTIONS: Final = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)
