"""ImageNet's channel statistics, red, green, blue, of pixels in [0, 1]: frames are normalised by them."""

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
