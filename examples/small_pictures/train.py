"""Trains the given network, MobileNetV2, on `data/cifar-10-batches-bin`, and writes `small_pictures.pt`.

python train.py
"""

from pathlib import Path

import numpy as np
import torch
from nets import build
from torch.nn.functional import cross_entropy

HERE = Path(__file__).parent
EPOCHS = 30


def read(pattern: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns images, pixels brought to [-1, 1], and labels."""
    files = sorted((HERE / "data" / "cifar-10-batches-bin").glob(pattern))
    records = np.concatenate([np.fromfile(file, np.uint8) for file in files]).reshape(-1, 3_073)
    images, labels = torch.from_numpy(records[:, 1:]), torch.from_numpy(records[:, 0])
    return images.reshape(-1, 3, 32, 32) / 127.5 - 1, labels.long()


torch.manual_seed(0)
inputs, labels = read("data_batch_*.bin")
unseen, right = read("test_batch.bin")
network = build()
optimizer = torch.optim.Adam(network.parameters(), 1e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
for epoch in range(EPOCHS):
    network.train()
    for batch in torch.randperm(len(inputs)).split(32):
        images = inputs[batch]
        if torch.rand(()) < 0.5:
            images = images.flip(3)
        images = images.rot90(int(torch.randint(4, ())), (2, 3))
        loss = cross_entropy(network(images), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    schedule.step()
    with torch.no_grad():
        share = (network.eval()(unseen).argmax(1) == right).float().mean()
    print(f"epoch {epoch + 1}: loss of the last batch {loss.item():.3f}, test {share:.1%}", flush=True)
torch.save(network.state_dict(), HERE / "small_pictures.pt")
