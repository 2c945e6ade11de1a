"""Where models that were registered earlier look for their class; it lives in :mod:`truelift.serving`."""

from truelift.evaluation.registered import read_package as read_package
from truelift.serving.pyfunc import SequenceModel as SequenceModel
