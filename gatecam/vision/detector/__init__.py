"""Find faces: the cascade, its networks, and the stock MTCNN."""
