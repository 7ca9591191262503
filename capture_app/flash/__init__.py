"""A photo without and a photo with flash of one spot: register, light, pair, the page's section. Torch-free."""
