"""Make pictures, videos and pages for people: drawn boxes, blurred faces, charts, HTML."""
