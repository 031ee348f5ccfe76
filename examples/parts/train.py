"""Trains the given network, ResNet-18 of half the width, on `data/parts/train`, and writes `resnet18.pt`.

python train.py
"""

from pathlib import Path

import numpy as np
import torch
from atoll.spaces.networks.torchvision_resnet import resnet18
from PIL import Image
from torch.nn.functional import cross_entropy

HERE = Path(__file__).parent
EPOCHS, SIDE, WIDTH = 12, 96, 32
#: of the channels of ImageNet's pictures, 0 to 1, as torchvision's networks take them
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def read(split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns scaled images and labels; classes are numbered in the order of their names."""
    paths = sorted((HERE / "data" / "parts" / split).glob("*/*.png"))
    names = sorted({path.parent.name for path in paths})
    pixels = torch.from_numpy(np.stack([np.asarray(Image.open(path)) for path in paths]))
    inputs = ((pixels / 255 - MEAN) / STD).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    return inputs, torch.tensor([names.index(path.parent.name) for path in paths])


torch.manual_seed(0)
(inputs, labels), (unseen, right) = read("train"), read("val")
network = resnet18(6, (3, SIDE, SIDE), WIDTH)
network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
optimizer = torch.optim.Adam(network.parameters(), 1e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
for epoch in range(EPOCHS):
    network.train()
    for batch in torch.randperm(len(inputs)).split(16):
        images = inputs[batch].rot90(int(torch.randint(4, ())), (2, 3))
        loss = cross_entropy(network(images), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    schedule.step()
    with torch.no_grad():
        share = (network.eval()(unseen).argmax(1) == right).float().mean()
    print(f"epoch {epoch + 1}: loss of the last batch {loss.item():.3f}, validation {share:.1%}", flush=True)
torch.save(network.state_dict(), HERE / "resnet18.pt")
