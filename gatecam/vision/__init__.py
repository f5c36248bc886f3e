"""Find faces in frames and classify them. Frames go in, faces come out, and no tensor leaves the room."""
