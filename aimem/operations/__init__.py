"""What an operator does with nodes as a whole: measuring them, making their certificates, showing a mesh at work.

Owns the benches (made-up memories, the operations that are timed, percentiles and budgets), the authority's folder, and
the daemons that a demonstration starts.
Must never be needed by a node that serves, nor print: whoever asks for something shows its report.
"""

from aimem.operations.bench import run_bench
from aimem.operations.benchnode import BenchPorts
from aimem.operations.corpus import Corpus
from aimem.operations.demo import DemoPorts, run_demo
from aimem.operations.meshbench import run_mesh_bench
from aimem.operations.meshscale import run_scale_bench
from aimem.operations.pki import Pki
from aimem.operations.processes import Program

__all__ = [
    "BenchPorts", "Corpus", "DemoPorts", "Pki", "Program", "run_bench", "run_demo", "run_mesh_bench", "run_scale_bench",
]
