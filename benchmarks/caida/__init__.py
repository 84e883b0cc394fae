"""The CAIDA federation: 98 real footprints as offer sheets, through the code that operators run.

`draft` makes footprints with invented capacities, `cards` invents rates and promises, `publish` turns both into
sheets and keeps them on disk, `copies` multiplies them, `forms` names the graphs that are measured, and `facts`
invents what auditors attest. Everything follows from a seed.
"""
