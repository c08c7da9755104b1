"""A two-channel encoder of one's own.

Try: otoscope check file:examples/my_encoder.py#MyEncoder
"""

import torch


class MyEncoder(torch.nn.Module):
    rate = 16000  # Hz
    channels = 2

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = torch.nn.Conv1d(2, width, kernel_size=400, stride=160)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Sounds [B, 2, n] -> frames [B, T, width]."""
        return torch.relu(self.stem(x)).transpose(1, 2)
