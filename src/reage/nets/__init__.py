"""Plain torch modules: config, parts, module, build; forward and loss side by side."""
