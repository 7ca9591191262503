"""Recipe files (TOML), read by `training.recipe`."""
