"""Settings of all unit tests."""

import hypothesis
import torch

# Nets this small gain nothing from more threads, and lose much where another job uses the cores.
torch.set_num_threads(1)

# No deadline: how long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")
