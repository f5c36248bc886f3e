"""Define the settings, load them with line numbers, and explain them."""

import os

# Otherwise Pydantic searches all installed packages for plug-ins at each start, which gatecam does not use
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
