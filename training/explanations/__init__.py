"""Why a network said what it said: gradients, the cases worth a look, and their pictures."""
