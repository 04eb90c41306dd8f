from . import presets as presets
from .settings import Loss as Loss
from .settings import Optimiser as Optimiser
from .settings import Training as Training
from .settings import snapshot_epochs as snapshot_epochs
from .train import batches_of_epoch as batches_of_epoch
