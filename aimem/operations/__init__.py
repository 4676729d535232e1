"""What an operator does with nodes as a whole: measuring them, and making their certificates.

Owns the benches (made-up memories, the operations that are timed, percentiles and budgets) and the authority's folder.
Must never be needed by a node that serves, nor print: whoever asks for something shows its report.
"""

from aimem.operations.bench import run_bench
from aimem.operations.benchnode import BenchPorts
from aimem.operations.corpus import Corpus
from aimem.operations.meshbench import run_mesh_bench
from aimem.operations.pki import Pki
from aimem.operations.processes import Program

__all__ = ["BenchPorts", "Corpus", "Pki", "Program", "run_bench", "run_mesh_bench"]
