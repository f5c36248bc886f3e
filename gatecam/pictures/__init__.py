"""What leaves the program as a picture or a page: drawn boxes, blurred faces, charts, HTML, video."""
