"""Trains the given network, DS-CNN, on `tones.npz`, and writes `tones.pt`.

python train.py
"""

from pathlib import Path

import numpy as np
import torch
from atoll.spaces.networks.ds_cnn import ds_cnn
from torch.nn.functional import cross_entropy

HERE = Path(__file__).parent
#: of the spectrograms, as `study.yaml` says them too
MEAN, STD = 3.06, 1.2
EPOCHS = 20

torch.manual_seed(0)
data = np.load(HERE / "tones.npz")
inputs, labels = (torch.from_numpy(data["x_train"]) - MEAN) / STD, torch.from_numpy(data["y_train"])
network = ds_cnn(8, (1, 49, 10)).train()
optimizer = torch.optim.Adam(network.parameters(), 1e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
for epoch in range(EPOCHS):
    for batch in torch.randperm(len(inputs)).split(64):
        loss = cross_entropy(network(inputs[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    schedule.step()
    print(f"epoch {epoch + 1}: loss of the last batch {loss.item():.3f}", flush=True)
torch.save(network.state_dict(), HERE / "tones.pt")
