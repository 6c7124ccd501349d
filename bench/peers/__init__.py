"""What dynbatch is held against: good batchers written by hand, plain sessions, the ideal line.

All keep the same rule of ownership: the rows of a request are copied when it is submitted, so that
its caller may change them at once.
"""
