"""Settings of all tests of the workflow layer."""

import hypothesis

# No deadline: how long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")
