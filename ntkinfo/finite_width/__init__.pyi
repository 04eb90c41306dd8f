from .after import Trained, trained
from .observables import log_evidence_coefficient, width_coefficient
from .start import Corrections, PairCorrections, Status, corrections, of_architecture, pair_corrections

__all__ = [
    "Corrections",
    "PairCorrections",
    "Status",
    "Trained",
    "corrections",
    "log_evidence_coefficient",
    "of_architecture",
    "pair_corrections",
    "trained",
    "width_coefficient",
]
