"""One module or package for each model that can be trained; see `trainable_models.ModelCode`."""
