"""The emotions that models rate in a face, and what people whose faces are rated must be told."""

from typing import Final

# In the order of every list and network output.
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

# Source: Regulation (EU) 2024/1689, Art. 50(3): people exposed to an emotion recognition system are
# informed of its operation.
NOTICE: Final = (
    "This photo is processed by a system that infers emotions: a program estimates from each face"
    " how neutral, happy, surprised, sad, angry, disgusted, afraid or contemptuous the person"
    " looks. The estimates can be wrong."
)
OFF: Final = "turned off by SMART_FILTER_EMOTIONS"
OFF_FOR_TENANT: Final = (
    "reads emotions, which the tenant's setting `emotions` turns off; the server's setting is "
    "SMART_FILTER_EMOTIONS"
)
