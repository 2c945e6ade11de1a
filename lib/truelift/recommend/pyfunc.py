"""Where models that were registered earlier look for their class; it lives in :mod:`truelift.serving`."""

from truelift.serving.pyfunc import SequenceModel as SequenceModel
