from .agreement import Agreement as Agreement
from .agreement import Comparison as Comparison
from .agreement import Verdict as Verdict
from .compare import compare_with_infinite_width as compare_with_infinite_width
from .exponents import Exponent as Exponent
from .finite import Row as Row
from .flow import gradient_flow as gradient_flow
