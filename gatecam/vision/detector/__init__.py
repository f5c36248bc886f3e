"""Find faces in frames with our cascade or with facenet-pytorch's MTCNN."""
