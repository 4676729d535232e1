"""The screens: each lays out widgets, hands them what the views make of the state, and turns keys into acts."""
