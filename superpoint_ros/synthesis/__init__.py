"""Images whose truth is known: synthetic shapes, random homographies, photometric changes."""
