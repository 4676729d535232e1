"""From the state to what each screen shows. Pure: no widget, no terminal, no network."""
