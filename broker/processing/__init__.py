"""The processes behind the log: the projector under Faust, and the publisher."""
