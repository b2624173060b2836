"""torchvision's architectures by their names, as encoders of frames or of windows of frames."""

from collections import OrderedDict

import torch
import torchvision
from torch import Tensor, nn

from avrobust import imagenet
from avrobust.models.modes import evaluating

# Mean and deviation of Kinetics-400's pixels, by which torchvision's nets on videos were trained.
KINETICS = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)


class Torchvision(nn.Module):
    """`architecture` of torchvision without its classifier: its convolutions, averaged over all positions.

    Input: (N, T, 3, H, W) pixels in [0, 1], or (N, 3, H, W); for nets on videos (N, T, F, 3, H, W), T windows of F
    frames, or (N, F, 3, H, W). Output: (N, T, D) or (N, D); D is `projection` or the net's own.

    Raises:
        ValueError: torchvision has no such architecture, or it ends otherwise than in `fc` or `classifier`.
    """

    def __init__(self, architecture: str, projection: int | None = None):
        super().__init__()
        net = torchvision.models.get_model(architecture, weights=None)
        self.video = architecture in torchvision.models.list_models(module=torchvision.models.video)
        if isinstance(getattr(net, "fc", None), nn.Linear):
            self.net, net.fc = net, nn.Identity()
        elif hasattr(net, "features"):
            self.net = nn.Sequential(OrderedDict(features=net.features))
        else:
            raise ValueError(f"{architecture} ends otherwise than in fc or classifier; write an encoder for it")
        mean, std = KINETICS if self.video else (imagenet.MEAN, imagenet.STD)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.projection = nn.Identity()
        with torch.no_grad(), evaluating(self):
            self.out_features = self(torch.zeros(1, 2, 3, 96, 96)).shape[-1]
        if projection is not None:
            self.projection = nn.Linear(self.out_features, projection)
            self.out_features = projection

    def forward(self, pixels: Tensor) -> Tensor:
        if pixels.ndim == (6 if self.video else 5):
            return self(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])
        normalised = (pixels - self.mean) / self.std
        feature = self.net(normalised.transpose(1, 2) if self.video else normalised)
        return self.projection(feature if feature.ndim == 2 else feature.mean(dim=(-2, -1)))
