"""The room that keeps: videos for now; what is written here outlives the program."""
