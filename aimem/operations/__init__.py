"""What an operator does with a node as a whole: here, measuring it.

Owns the benches: made-up memories, the operations that are timed, percentiles and budgets. Must never be needed by a
node that serves, nor print: whoever asks for a bench shows its report.
"""

from aimem.operations.bench import run_bench
from aimem.operations.benchnode import BenchPorts
from aimem.operations.corpus import Corpus
from aimem.operations.meshbench import run_mesh_bench
from aimem.operations.processes import Program

__all__ = ["BenchPorts", "Corpus", "Program", "run_bench", "run_mesh_bench"]
