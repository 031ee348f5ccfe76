"""Trains the given network, the dense auto-encoder, on `machine_sounds.npz`, and writes `machine_sounds.pt`.

python train.py
"""

from pathlib import Path

import numpy as np
import torch
from atoll.spaces.networks.dense_autoencoder import dense_autoencoder
from torch.nn.functional import mse_loss

HERE = Path(__file__).parent
EPOCHS = 60

torch.manual_seed(0)
data = np.load(HERE / "machine_sounds.npz")
inputs, unseen = torch.from_numpy(data["x_train"]), torch.from_numpy(data["x_val"])
network = dense_autoencoder(640, (640,)).train()
with torch.no_grad():
    network.get_parameter("output.bias").copy_(inputs.mean(0))
optimizer = torch.optim.Adam(network.parameters(), 3e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
for _ in range(EPOCHS):
    for batch in torch.randperm(len(inputs)).split(64):
        loss = mse_loss(network(inputs[batch]), inputs[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    schedule.step()
error_db = (network.eval()(unseen) - unseen).abs().mean().item()
print(f"validation: mean absolute error {error_db:.2f} dB")
torch.save(network.state_dict(), HERE / "machine_sounds.pt")
