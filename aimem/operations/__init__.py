"""What an operator does with nodes as a whole: measuring them, keeping them safe, making certificates, showing a mesh.

Owns the benches (made-up memories, the operations that are timed, percentiles and budgets), the folders of backups and
of an authority, the daemons that a demonstration starts, and what the doctor makes of what it sees.
Must never be needed by a node that serves, nor print: whoever asks for something shows its report.
"""

from aimem.operations.bench import run_bench
from aimem.operations.benchnode import BenchPorts
from aimem.operations.corpus import Corpus
from aimem.operations.demo import DemoPorts, run_demo
from aimem.operations.doctor import DoctorHolder, DoctorPorts, run_doctor
from aimem.operations.meshbench import run_mesh_bench
from aimem.operations.meshscale import run_scale_bench
from aimem.operations.pki import Pki
from aimem.operations.processes import Program
from aimem.operations.restoring import Keeper

__all__ = [
    "BenchPorts", "Corpus", "DemoPorts", "DoctorHolder", "DoctorPorts", "Keeper", "Pki", "Program", "run_bench",
    "run_demo", "run_doctor", "run_mesh_bench", "run_scale_bench", "seen",
]
