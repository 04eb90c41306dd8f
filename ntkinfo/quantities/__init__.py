"""Every quantity of an ensemble: one function each, with its record in ``REGISTRY``."""

from ntkinfo.quantities.data import *  # noqa: F403
from ntkinfo.quantities.evidence import *  # noqa: F403
from ntkinfo.quantities.inputs import *  # noqa: F403
from ntkinfo.quantities.labels import *  # noqa: F403
from ntkinfo.quantities.parameters import *  # noqa: F403
from ntkinfo.quantities.paths import *  # noqa: F403
from ntkinfo.quantities.predictive import *  # noqa: F403
from ntkinfo.quantities.registry import *  # noqa: F403
from ntkinfo.quantities.risks import *  # noqa: F403
from ntkinfo.quantities.third_kernel import *  # noqa: F403
