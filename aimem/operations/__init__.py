"""What an operator does with a node as a whole: here, measuring it.

Owns the benches: made-up memories, the operations that are timed, percentiles and budgets. Must never be needed by a
node that serves, nor print: whoever asks for a bench shows its report.
"""

__all__: list[str] = []
