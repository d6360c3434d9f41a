"""DeepLabV3+: an encoder with atrous convolutions, a pyramid of them, and a small decoder.

The definitions are our own: torchvision has DeepLabV3 without the decoder, and its builds do not
always import next to a torch for processors.  The encoder is a small residual network without
weights to start with, not the paper's Xception or ResNet-101.  Importing this module imports torch.
Source: Chen et al. 2018, "Encoder-decoder with atrous separable convolution for semantic image
segmentation", sections 3.1 and 3.2; He et al. 2016, "Deep residual learning", figure 2.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

# Background and person.
CLASSES: Final = 2
# Atrous rates at a sixteenth of the picture.  Source: Chen et al. 2018, section 4.
RATES: Final = (6, 12, 18)
# Channels that the decoder takes from the early stage.  Source: Chen et al. 2018, section 4.1.
_EARLY_CHANNELS: Final = 48
_DROPOUT: Final = 0.1


class DeepLab(nn.Module):  # type: ignore[misc]  # type checks run without torch
    """A network for square pictures of one size.

    side_px: of its input, a multiple of 16; width: channels of the first stage; blocks: of
    each stage; channels: of the pyramid and of the decoder.
    """

    def __init__(self, side_px: int, *, width: int, blocks: int, channels: int) -> None:
        super().__init__()
        self.side_px = side_px
        self.stem = _convolution(3, width, side=3, stride=2)
        self.stage1 = _stage(width, width, blocks, stride=2)
        self.stage2 = _stage(width, 2 * width, blocks, stride=2)
        self.stage3 = _stage(2 * width, 4 * width, blocks, stride=2)
        # Another halving would lose outlines; a rate of two has the same field of view.
        self.stage4 = _stage(4 * width, 8 * width, blocks, stride=1, rate=2)
        self.pyramid = Pyramid(8 * width, channels, side_px // 16)
        self.early = _convolution(width, _EARLY_CHANNELS, side=1)
        self.decoder = nn.Sequential(
            _convolution(channels + _EARLY_CHANNELS, channels, side=3),
            _convolution(channels, channels, side=3),
            nn.Conv2d(channels, CLASSES, kernel_size=1),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, pictures: Tensor) -> Tensor:
        """Return (N, 2, S, S) scores of background and person.

        pictures: (N, 3, S, S) float32 sRGB, normalized.
        """
        quarter = self.stage1(self.stem(pictures))
        sixteenth = self.stage4(self.stage3(self.stage2(quarter)))
        context = _enlarge(self.pyramid(sixteenth), self.side_px // 4)
        scores = self.decoder(torch.cat((context, self.early(quarter)), dim=1))
        return _enlarge(scores, self.side_px)


class Pyramid(nn.Module):  # type: ignore[misc]  # as above
    """Convolutions at four rates, and the average of the whole picture, joined.

    Source: Chen et al. 2017, "Rethinking atrous convolution", section 3.3.
    """

    def __init__(self, given: int, channels: int, side_px: int) -> None:
        super().__init__()
        self.side_px = side_px
        self.looks = nn.ModuleList(
            [
                _convolution(given, channels, side=1),
                *(_convolution(given, channels, side=3, rate=rate) for rate in RATES),
            ]
        )
        # Without normalization: a batch of one has a single number in each channel here.
        self.whole = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(given, channels, kernel_size=1), nn.ReLU()
        )
        self.joined = _convolution((2 + len(RATES)) * channels, channels, side=1)
        self.dropped = nn.Dropout(_DROPOUT)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, channels, h, w) of (N, given, h, w)."""
        maps = [look(features) for look in self.looks]
        maps.append(self.whole(features).expand(-1, -1, self.side_px, self.side_px))
        return self.dropped(self.joined(torch.cat(maps, dim=1)))


class Block(nn.Module):  # type: ignore[misc]  # as above
    """A residual block of two convolutions."""

    def __init__(self, given: int, channels: int, *, stride: int, rate: int) -> None:
        super().__init__()
        self.convolved = nn.Sequential(
            _convolution(given, channels, side=3, stride=stride, rate=rate),
            nn.Conv2d(channels, channels, 3, padding=rate, dilation=rate, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.brought = (
            nn.Identity()
            if stride == 1 and given == channels
            else nn.Sequential(
                nn.Conv2d(given, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
            )
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, channels, h / stride, w / stride)."""
        return functional.relu(self.convolved(features) + self.brought(features))


def _stage(given: int, channels: int, blocks: int, *, stride: int, rate: int = 1) -> nn.Sequential:
    first = Block(given, channels, stride=stride, rate=rate)
    others = (Block(channels, channels, stride=1, rate=rate) for _ in range(blocks - 1))
    return nn.Sequential(first, *others)


def _convolution(
    given: int, channels: int, *, side: int, stride: int = 1, rate: int = 1
) -> nn.Sequential:
    padding = rate * (side // 2)
    return nn.Sequential(
        nn.Conv2d(given, channels, side, stride, padding, dilation=rate, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


def _enlarge(maps: Tensor, side_px: int) -> Tensor:
    return functional.interpolate(maps, (side_px, side_px), mode="bilinear", align_corners=False)
