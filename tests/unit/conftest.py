"""Settings of all unit tests."""

import hypothesis
import torch

from avrobust.runtime import take_common_instructions

# Before torch computes anything, so that a program called here gives the bits of one in a process of its own.
take_common_instructions()

# Nets this small gain nothing from more threads, and lose much where another job uses the cores.
torch.set_num_threads(1)

# No deadline: how long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")
