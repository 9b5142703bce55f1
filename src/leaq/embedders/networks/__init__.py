"""The pretrained networks themselves, as torch modules; loaded when molecules are embedded."""
