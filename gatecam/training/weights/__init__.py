"""Make the weights that gatecam ships, from archives of pictures to files with their specs."""
