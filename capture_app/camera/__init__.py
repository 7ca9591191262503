"""The capture component: plain ES modules and the Python that mounts them."""
